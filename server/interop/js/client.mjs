// @modelcontextprotocol/client 2.x over Streamable HTTP. Usage: node client.mjs legacy|auto|REVISION DEMO-URL FIXTURE-URL
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { cancelChecks, check, demoChecks, watch } from './checks.mjs';

const [mode, demoURL, fixtureURL] = process.argv.slice(2);

async function open(url) {
  const negotiation = { mode: ['legacy', 'auto'].includes(mode) ? mode : { pin: mode } };
  const client = new Client({ name: 'interop', version: '1.0.0' }, { capabilities: {}, versionNegotiation: negotiation });
  const transport = new StreamableHTTPClientTransport(new URL(url));
  await client.connect(transport);
  return {
    client, errors: watch(client, transport),
    tools: async () => (await client.listTools()).tools,
    call: (name, args, options) => client.callTool({ name, arguments: args }, options),
  };
}

const demo = await open(demoURL);
await check('server', () => ({
  name: demo.client.getServerVersion().name,
  version: demo.client.getNegotiatedProtocolVersion(),
  era: demo.client.getProtocolEra(),
}));
await demoChecks(demo);
const fixture = await open(fixtureURL);
await cancelChecks(fixture);
await check('close', async () => {
  await Promise.all([demo.client.close(), fixture.client.close()]);
  return 'closed';
});
await check('errors', () => [...demo.errors, ...fixture.errors]);
