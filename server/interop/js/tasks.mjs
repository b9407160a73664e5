// @modelcontextprotocol/ext-tasks on a client of 2026-07-28, with cmd/everything. Usage: node tasks.mjs URL
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client';
import { createTaskSessionFromClient } from '@modelcontextprotocol/ext-tasks/client';
import { check } from './checks.mjs';
import { answerer, capabilities } from './features.mjs';

const protocolVersion = '2026-07-28';
const clientInfo = { name: 'interop', version: '1.0.0' };
const { asked, ...handlers } = answerer();
const method = { elicitation: 'elicitation/create', sampling: 'sampling/createMessage', roots: 'roots/list' };

async function open() {
  const client = new Client(clientInfo, { capabilities, versionNegotiation: { mode: { pin: protocolVersion } } });
  const transport = new StreamableHTTPClientTransport(new URL(process.argv[2]));
  await client.connect(transport);
  const session = createTaskSessionFromClient(client, {
    endpointId: 'interop', rawDispatch: dispatcher(transport),
    v2RequestFraming: { protocolVersion, clientInfo, clientCapabilities: capabilities },
    onInputRequest: async ({ kind, params }) => handlers[method[kind]]({ params }),
  });
  return { client, session };
}

// The client knows no results that are tasks. The host has to bring a way around it, as the inspector does: this sends
// what ext-tasks has made, and hands back what is answered to it.
function dispatcher(transport) {
  const waiting = new Map();
  const receive = transport.onmessage;
  transport.onmessage = (message, extra) => {
    const settle = message.method === undefined && waiting.get(message.id);
    if (!settle) return receive(message, extra);
    waiting.delete(message.id);
    return settle(message);
  };
  let sent = 0;
  return async (request) => {
    const id = `task-${sent++}`;
    const answer = new Promise((resolve) => waiting.set(id, resolve));
    await transport.send({ jsonrpc: '2.0', id, ...request });
    const { error, result } = await answer;
    return error ? { kind: 'error', error } : { kind: 'result', result };
  };
}

const { client, session } = await open();

// run calls a tool to its end: whether it became a task, whether that needed input, and how it ended.
async function run(name, args) {
  const execution = await session.callTool(name, args);
  let input = false;
  const { outcome } = await execution.settle({
    onEvent: (event) => { input ||= event.type === 'task' && event.task.status === 'input_required'; },
  });
  const { result, error } = outcome;
  return {
    kind: execution.kind, input, status: outcome.status, text: result?.content[0].text ?? null,
    isError: result?.isError ?? false, code: error?.code ?? null,
  };
}

await check('capabilities', () => session.capabilities);
await check('immediate', () => run('greet', { name: 'Ada' }));
await check('task', () => run('slow_compute', { seconds: 0.3, label: 'pi' }));
await check('tool error', () => run('failing_job'));
await check('protocol error', () => run('protocol_error_job'));
await check('input', () => run('confirm_delete', { filename: 'a.txt' }));
await check('inputs', () => run('multi_input'));
await check('input, then task', () => run('test_tool_with_task'));
await check('cancel', async () => {
  const execution = await session.callTool('slow_compute', { seconds: 60, label: 'e' });
  const task = session.task(execution.handle.taskId);
  const before = (await task.snapshot()).status;
  await task.cancel();
  const { outcome } = await execution.settle();
  return [before, outcome.status];
});
// A reference outlives the connection of its client.
await check('recovery', async () => {
  const first = await open();
  const execution = await first.session.callTool('slow_compute', { seconds: 1, label: 'tau' });
  let reference;
  await execution.handoff((r) => { reference = JSON.stringify(r); });
  await first.session.close();
  await first.client.close();
  const { outcome } = await (await session.resumeTask(JSON.parse(reference))).settle();
  return outcome.result.content[0].text;
});
await check('unknown task', () => session.task('nothing').snapshot().then(() => 'found', (error) => error.code ?? error.cause?.code ?? String(error)));
await session.close();
await client.close();
