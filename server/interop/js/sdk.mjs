// @modelcontextprotocol/sdk 1.x. Usage: node sdk.mjs http|ws|ws-undici DEMO-URL FIXTURE-URL
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { WebSocketClientTransport } from '@modelcontextprotocol/sdk/client/websocket.js';
import { WebSocket } from 'ws';
import { cancelChecks, check, demoChecks, watch } from './checks.mjs';

const [carrier, demoURL, fixtureURL] = process.argv.slice(2);

// The transport takes the global WebSocket: undici's, which node has from 22 on, or that of the package ws.
if (carrier === 'ws') globalThis.WebSocket = WebSocket;

async function open(url) {
  const client = new Client({ name: 'interop', version: '1.0.0' }, { capabilities: {} });
  const Transport = carrier === 'http' ? StreamableHTTPClientTransport : WebSocketClientTransport;
  const transport = new Transport(new URL(url));
  await client.connect(transport);
  return {
    client, transport, errors: watch(client, transport),
    tools: async () => (await client.listTools()).tools,
    call: (name, args, options) => client.callTool({ name, arguments: args }, undefined, options),
    ping: () => client.ping(),
  };
}

const demo = await open(demoURL);
await check('server', () => ({ name: demo.client.getServerVersion().name, tools: 'tools' in demo.client.getServerCapabilities() }));
if (carrier === 'http') {
  await check('session', () => ({ id: typeof demo.transport.sessionId, version: demo.transport.protocolVersion }));
} else {
  await check('subprotocol', () => demo.transport._socket.protocol);
}
await demoChecks(demo);
const fixture = await open(fixtureURL);
await cancelChecks(fixture);
await check('close', async () => {
  if (carrier === 'http') await demo.transport.terminateSession();
  const closed = new Promise((resolve) => { demo.client.onclose = () => resolve('closed'); });
  await Promise.all([demo.client.close(), fixture.client.close()]);
  return closed;
});
await check('errors', () => [...demo.errors, ...fixture.errors]);
