// @modelcontextprotocol/client 2.x with cmd/everything.
// Usage: node client-features.mjs legacy|auto|REVISION http|sse URL, or ... stdio COMMAND ARGUMENTS...
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { check, watch } from './checks.mjs';
import { answerer, capabilities, featureChecks, told as methods, Told } from './features.mjs';

const [mode, carrier, target, ...args] = process.argv.slice(2);
const versionNegotiation = { mode: ['legacy', 'auto'].includes(mode) ? mode : { pin: mode } };

const open = () => {
  switch (carrier) {
    case 'stdio': return new StdioClientTransport({ command: target, args });
    case 'sse': return new SSEClientTransport(new URL(target));
    default: return new StreamableHTTPClientTransport(new URL(target));
  }
};
const client = new Client({ name: 'interop', version: '1.0.0' }, { capabilities, versionNegotiation });
const told = new Told();
const { asked, ...handlers } = answerer();
for (const [method, handle] of Object.entries(handlers)) client.setRequestHandler(method, handle);
for (const method of methods) client.setNotificationHandler(method, ({ params }) => told.add(method, params));
const transport = open();
await client.connect(transport);
const errors = watch(client, transport);
const modern = client.getProtocolEra() === 'modern';
await check('server', () => ({ name: client.getServerVersion().name, version: client.getNegotiatedProtocolVersion() }));

// On 2026-07-28 a client listens to what it wants to be told of.
const subscriptions = new Map();
const listen = async (key, filter) => {
  const subscription = await client.listen(filter);
  subscriptions.set(key, subscription);
  return subscription.honoredFilter;
};
const unlisten = async (key) => {
  const subscription = subscriptions.get(key);
  await subscription.close();
  return subscription.closed;
};
if (modern) await check('listen', () => listen('lists', { toolsListChanged: true, promptsListChanged: true }));

const lists = {
  tools: 'listTools', prompts: 'listPrompts', resources: 'listResources', resourceTemplates: 'listResourceTemplates',
};
let meta; // of the next call
await featureChecks({
  told, asked, modern,
  list: (what, params) => client[lists[what]](params),
  call: (name, args, options) => client.callTool({ name, arguments: args, ...(meta && { _meta: meta }) }, options),
  read: (uri) => client.readResource({ uri }),
  prompt: (name, args) => client.getPrompt({ name, arguments: args }),
  complete: (ref, argument) => client.complete({ ref, argument }),
  log: async (level, run) => {
    if (!modern) await client.setLoggingLevel(level);
    else meta = { 'io.modelcontextprotocol/logLevel': level };
    await run();
    meta = undefined;
  },
  subscribe: (uri) => modern ? listen(uri, { resourceSubscriptions: [uri] }) : client.subscribeResource({ uri }),
  unsubscribe: (uri) => modern ? unlisten(uri) : client.unsubscribeResource({ uri }),
  rootsChanged: modern ? undefined : () => client.sendRootsListChanged(),
});
if (modern) await check('unlisten', () => unlisten('lists'));

// A client that answers the questions of 2026-07-28 itself.
if (modern) {
  await check('by hand', async () => {
    const manual = new Client({ name: 'interop', version: '1.0.0' }, { capabilities, versionNegotiation, inputRequired: { autoFulfill: false } });
    await manual.connect(open());
    const params = { name: 'test_input_required_result_request_state', arguments: {} };
    const first = await manual.callTool(params, { allowInputRequired: true });
    const inputResponses = { confirm: { action: 'decline' } };
    const again = { ...params, inputResponses, requestState: first.requestState };
    const second = await manual.callTool(again);
    const changed = first.requestState.slice(0, -2) + (first.requestState.endsWith('AA') ? 'BB' : 'AA');
    const tampered = await manual.callTool({ ...again, requestState: changed }).then(() => 'accepted', (error) => error.code);
    await manual.close();
    return [first.resultType, first.inputRequests.confirm.method, second.content[0].text, tampered];
  });
}
await check('nothing declared', async () => {
  const plain = new Client({ name: 'interop', version: '1.0.0' }, { capabilities: {}, versionNegotiation });
  await plain.connect(open());
  const call = (name) => plain.callTool({ name, arguments: {} }).then((r) => r.content[0].text, (error) => error.code);
  const found = [await call('test_missing_capability'), await call('test_input_required_result_capabilities')];
  await plain.close();
  return found;
});
const misunderstood = [...errors];
await client.close();
await check('errors', () => misunderstood);
