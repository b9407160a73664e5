// What every JavaScript client does with the demo tools and the fixture server. A check prints one JSON line
// {"check": name, "value": ...}; the Go test holds what is expected. A check that throws reports its error instead.

export async function check(name, run) {
  let value;
  try {
    value = await run();
  } catch (error) {
    value = { error: describe(error) };
  }
  console.log(JSON.stringify({ check: name, value: value ?? null }));
}

export const describe = (error) => ({ name: error.name, code: error.code ?? null, message: String(error.message) });

// watch returns the list in which it collects what the client could not make sense of. The clients settle a call at
// once and hand out notifications one turn later, so they call a progress report unknown that came right before its
// answer; what counts is that none comes after it.
export function watch(client, transport) {
  const errors = [];
  client.onerror = (error) => {
    if (!error.message.includes('progress notification for an unknown token')) errors.push(String(error));
  };
  const answered = new Set();
  const receive = transport.onmessage;
  transport.onmessage = (message, extra) => {
    if (message.id !== undefined && message.method === undefined) answered.add(message.id);
    // Both clients use the id of a request as its progress token.
    if (message.method === 'notifications/progress' && answered.has(message.params.progressToken)) {
      errors.push(`progress after the answer: ${JSON.stringify(message)}`);
    }
    return receive(message, extra);
  };
  return errors;
}

// session: {tools(), call(name, args, options), ping()?}, a thin layer over the client under test.
export async function demoChecks(session) {
  await check('tools', async () => (await session.tools()).map((tool) => tool.name));
  await check('echo', async () => (await session.call('echo', { text: 'Grüße, 世界 😀 \u2028' })).content);
  await check('add', async () => {
    const { content, structuredContent } = await session.call('add', { a: 2.5, b: -1 });
    return { types: content.map((c) => c.type), structuredContent };
  });
  await check('long', async () => {
    const text = 'long '.repeat(100_000);
    return (await session.call('echo', { text })).content[0].text === text;
  });
  await check('progress', async () => {
    const reports = [];
    const result = await session.call('sleep', { seconds: 0.5 }, { onprogress: (p) => reports.push(p) });
    const rising = reports.every((p, i) => i === 0 || p.progress > reports[i - 1].progress);
    return { some: reports.length > 0, rising, isError: result.isError ?? false };
  });
  await check('bad arguments', async () => (await session.call('echo', { text: 5 })).isError);
  await check('unknown tool', () => session.call('no such tool', {}));
  await check('50 at once', async () => {
    const texts = Array.from({ length: 50 }, (_, i) => `call ${i}`);
    const results = await Promise.all(texts.map((text) => session.call('echo', { text })));
    return results.filter((result, i) => result.content[0].text === texts[i]).length;
  });
  if (session.ping) await check('ping', () => session.ping());
}

// A call that the client gives up must end in the server too; block_state, asked in the same session, tells.
export async function cancelChecks(session) {
  const key = `${process.pid} ${performance.now()}`;
  const state = async () => (await session.call('block_state', { key })).structuredContent.state;
  const until = async (wanted) => {
    let seen;
    for (let tries = 0; tries < 100 && seen !== wanted; tries++) {
      seen = await state();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return seen;
  };
  await check('cancel', async () => {
    const abort = new AbortController();
    const call = session.call('block', { key }, { signal: abort.signal }).then(() => 'answered', () => 'rejected');
    const before = await until('running');
    abort.abort();
    return { before, call: await call, after: await until('cancelled') };
  });
}
