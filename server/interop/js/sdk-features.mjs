// @modelcontextprotocol/sdk 1.x with cmd/everything. Usage: node sdk-features.mjs http|ws|ws-undici|sse URL
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { SSEClientTransport } from '@modelcontextprotocol/sdk/client/sse.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import * as types from '@modelcontextprotocol/sdk/types.js';
import { WebSocket } from 'ws';
import { check, watch } from './checks.mjs';
import { answerer, capabilities, featureChecks, Told } from './features.mjs';

const [carrier, url] = process.argv.slice(2);
if (carrier === 'ws') globalThis.WebSocket = WebSocket; // else undici's, which node brings
const Transport = { http: StreamableHTTPClientTransport, sse: SSEClientTransport }[carrier] ?? WebSocketClientTransport;

const client = new Client({ name: 'interop', version: '1.0.0' }, { capabilities });
const told = new Told();
const { asked, ...handlers } = answerer();
for (const schema of [types.ElicitRequestSchema, types.CreateMessageRequestSchema, types.ListRootsRequestSchema]) {
  client.setRequestHandler(schema, handlers[schema.shape.method.value]);
}
for (const schema of [
  types.LoggingMessageNotificationSchema, types.ResourceUpdatedNotificationSchema, types.ToolListChangedNotificationSchema,
  types.PromptListChangedNotificationSchema, types.ElicitationCompleteNotificationSchema,
]) client.setNotificationHandler(schema, ({ method, params }) => told.add(method, params));
const transport = new Transport(new URL(url));
await client.connect(transport);
const errors = watch(client, transport);

const lists = {
  tools: 'listTools', prompts: 'listPrompts', resources: 'listResources', resourceTemplates: 'listResourceTemplates',
};
await featureChecks({
  told, asked, modern: false,
  list: (what, params) => client[lists[what]](params),
  call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
  read: (uri) => client.readResource({ uri }),
  prompt: (name, args) => client.getPrompt({ name, arguments: args }),
  complete: (ref, argument) => client.complete({ ref, argument }),
  log: async (level, run) => {
    await client.setLoggingLevel(level);
    return run();
  },
  subscribe: (uri) => client.subscribeResource({ uri }),
  unsubscribe: (uri) => client.unsubscribeResource({ uri }),
  rootsChanged: () => client.sendRootsListChanged(),
});

const misunderstood = [];
if (carrier === 'http') {
  // The server ends the stream before the answer, and the client comes back by itself.
  const tokens = [];
  const onresumptiontoken = (token) => tokens.push(token);
  await check('reconnection', async () => {
    const { content } = await client.callTool({ name: 'test_reconnection', arguments: {} }, undefined, { onresumptiontoken });
    return { text: content[0].text, tokens: tokens.length > 0 };
  });
  // A client gives up its connection; another one takes the session and the call up where it was.
  await check('resumption', async () => {
    tokens.length = 0;
    let first;
    const begun = new Promise((resolve) => { first = resolve; });
    const params = { name: 'slow_compute', arguments: { seconds: 2, label: 'pi' } };
    client.callTool(params, undefined, { onresumptiontoken, onprogress: first }).catch(() => {});
    await begun;
    const { sessionId } = transport;
    misunderstood.push(...errors); // what comes now is that the client closes its own streams
    await client.close();
    const again = new Client({ name: 'interop', version: '1.0.0' }, { capabilities });
    const line = new StreamableHTTPClientTransport(new URL(url), { sessionId });
    await again.connect(line);
    line.setProtocolVersion('2025-11-25');
    const { content } = await again.request({ method: 'tools/call', params }, types.CallToolResultSchema, { resumptionToken: tokens.at(-1) });
    await line.terminateSession();
    await again.close();
    return content[0].text;
  });
} else {
  misunderstood.push(...errors);
  await client.close();
}

// A client that cannot be asked anything.
await check('nothing declared', async () => {
  const plain = new Client({ name: 'interop', version: '1.0.0' }, { capabilities: {} });
  await plain.connect(new Transport(new URL(url)));
  const asking = await plain.callTool({ name: 'test_missing_capability', arguments: {} });
  const polite = await plain.callTool({ name: 'test_input_required_result_capabilities', arguments: {} });
  await plain.close();
  return [asking.isError, asking.content[0].text, polite.content[0].text];
});
await check('errors', () => misunderstood);
