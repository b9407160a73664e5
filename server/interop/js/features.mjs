// What every JavaScript client does with cmd/everything; see checks.mjs. An adapter hides what differs between the
// clients under test:
//   {list(what, params?), call(name, args, options?), read(uri), prompt(name, args), complete(ref, argument),
//    level?(level), subscribe(uri), unsubscribe(uri), rootsChanged?(), told, asked, modern}
import { check } from './checks.mjs';

export const capabilities = {
  elicitation: { form: { applyDefaults: true }, url: {} }, sampling: {}, roots: { listChanged: true },
};

// Told keeps the notifications that a client gets, by method.
export class Told {
  #kept = new Map();
  #waiting = new Map();

  add(method, params = {}) {
    const waiting = this.#waiting.get(method)?.shift();
    if (waiting) waiting(params);
    else this.#kept.set(method, [...(this.#kept.get(method) ?? []), params]);
  }

  // next returns the params of the next notification, undefined when there is none for a while.
  next(method, milliseconds = 10_000) {
    const kept = this.#kept.get(method)?.shift();
    if (kept) return Promise.resolve(kept);
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(method) ?? [];
      this.#waiting.set(method, waiting);
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(settle), 1);
        resolve(undefined);
      }, milliseconds);
      const settle = (params) => {
        clearTimeout(timer);
        resolve(params);
      };
      waiting.push(settle);
    });
  }

  async take(method, n) {
    const all = [];
    for (let i = 0; i < n; i++) all.push(await this.next(method));
    return all;
  }

  left(method) {
    return this.#kept.get(method)?.length ?? 0;
  }
}

export const told = [
  'notifications/message', 'notifications/resources/updated', 'notifications/tools/list_changed',
  'notifications/prompts/list_changed', 'notifications/elicitation/complete',
];

// What the user fills in, whatever the form: the fields that it has.
const answers = {
  name: 'Alice', color: 'blue', ok: true, confirm: true, context: 'tests', username: 'alice', email: 'a@example.com',
  untitledSingle: 'option1', titledSingle: 'value2', legacyEnum: 'opt3', untitledMulti: ['option1', 'option3'],
  titledMulti: ['value1'],
};

// answerer returns the handlers of the requests that a client may get, and what was asked.
export function answerer() {
  const asked = { pages: [], roots: [{ uri: 'file:///work', name: 'work' }] };
  return {
    asked,
    'elicitation/create': ({ params }) => {
      if (params.mode === 'url') {
        asked.pages.push(params);
        return { action: 'accept' };
      }
      const fields = Object.keys(params.requestedSchema.properties).filter((name) => name in answers);
      // This form is accepted as it comes.
      if (params.message === 'Test defaults for primitives') fields.length = 0;
      return { action: 'accept', content: Object.fromEntries(fields.map((name) => [name, answers[name]])) };
    },
    'sampling/createMessage': ({ params }) => {
      const question = [params.messages[0].content].flat()[0].text;
      return { role: 'assistant', model: 'm', content: { type: 'text', text: `re: ${question}` } };
    },
    'roots/list': () => ({ roots: asked.roots }),
  };
}

const texts = (result) => result.content.map((c) => c.text).join('');
const code = (promise) => promise.then(() => 'no error', (error) => error.code ?? String(error));

// all walks the pages of a list. 2.x does that itself when it is asked for no cursor in particular.
async function all(s, what) {
  const found = [];
  let pages = 0;
  for (let cursor; pages === 0 || cursor; pages++) {
    const page = await s.list(what, cursor ? { cursor } : undefined);
    found.push(...page[what]);
    cursor = page.nextCursor;
  }
  return { found, pages };
}

export async function featureChecks(s) {
  await check('pages', async () => {
    const { found, pages } = await all(s, 'tools');
    const names = new Set(found.map((tool) => tool.name));
    return { first: found[0].name, once: names.size === found.length, many: names.size >= 30, pages: pages > 10 };
  });
  await check('lists', async () => {
    const has = async (what, member, wanted) => {
      const found = (await all(s, what)).found.map((v) => v[member]);
      return wanted.filter((name) => !found.includes(name));
    };
    return [
      ...await has('prompts', 'name', ['test_simple_prompt', 'test_prompt_with_arguments']),
      ...await has('resources', 'uri', ['test://static-text', 'test://static-binary', 'test://watched-resource']),
      ...await has('resourceTemplates', 'uriTemplate', ['test://template/{id}/data']),
    ];
  });
  await check('read', async () => {
    const [text, image, data] = await Promise.all(['test://static-text', 'test://static-binary', 'test://template/a%20b/data'].map(s.read));
    return [text.contents[0].text, image.contents[0].blob.slice(0, 6), JSON.parse(data.contents[0].text).data];
  });
  await check('unknown', () => Promise.all([code(s.read('test://nothing')), code(s.prompt('nothing')), code(s.prompt('test_prompt_with_arguments'))]));
  await check('prompts', async () => {
    const found = await Promise.all([
      s.prompt('test_simple_prompt'),
      s.prompt('test_prompt_with_arguments', { arg1: 'a', arg2: 'ü' }),
      s.prompt('test_prompt_with_embedded_resource', { resourceUri: 'test://x' }),
      s.prompt('test_prompt_with_image'),
      s.prompt('test_input_required_result_prompt'),
    ]);
    return found.map((p) => p.messages.map(({ content: c }) => c.text ?? c.resource?.uri ?? c.mimeType));
  });
  await check('completion', async () => {
    const prompt = { type: 'ref/prompt', name: 'test_prompt_with_arguments' };
    const template = { type: 'ref/resource', uri: 'test://template/{id}/data' };
    const found = await Promise.all([
      s.complete(prompt, { name: 'arg1', value: 'test' }),
      s.complete(prompt, { name: 'arg1', value: 'x' }),
      s.complete(template, { name: 'id', value: '12' }),
    ]);
    return found.map((r) => r.completion.values);
  });
  await check('logging', async () => {
    await s.log('error', () => s.call('test_tool_with_logging', {}));
    await s.log('info', () => s.call('test_tool_with_logging', {}));
    const messages = await s.told.take('notifications/message', 3);
    return { messages, more: s.told.left('notifications/message') };
  });
  await check('progress', async () => {
    const reports = [];
    const result = await s.call('test_tool_with_progress', {}, { onprogress: (p) => reports.push([p.progress, p.total]) });
    return { reports, text: texts(result) };
  });
  for (const [tool, args] of [
    ['test_sampling', { prompt: 'Why?' }],
    ['test_missing_capability'],
    ['test_input_required_result_sampling'],
    ['test_input_required_result_list_roots'],
    ['test_elicitation', { message: 'Who?' }],
    ['test_elicitation_sep1034_defaults'],
    ['test_elicitation_sep1330_enums'],
    ['test_streaming_elicitation'],
    ['test_input_required_result_elicitation'],
    ['test_input_required_result_multiple_inputs'],
    ['test_input_required_result_multi_round'],
    ['test_input_required_result_request_state'],
    ['test_input_required_result_tampered_state'],
    ['confirm_delete', { filename: 'a.txt' }],
    ['multi_input'],
    ['test_tool_with_task'],
  ]) await check(tool, async () => texts(await s.call(tool, args ?? {})).replace(/took .*/, 'took a moment'));
  await check('url', async () => {
    const text = texts(await s.call('visit_page', {}));
    const [page] = s.asked.pages;
    const done = s.modern ? undefined : await s.told.next('notifications/elicitation/complete');
    return { text, url: page.url, completed: done === undefined ? null : done.elicitationId === page.elicitationId };
  });
  await check('roots', async () => {
    s.asked.roots = [...s.asked.roots, { uri: 'file:///more' }];
    await s.rootsChanged?.();
    return texts(await s.call('test_input_required_result_list_roots', {}));
  });
  await check('list changed', async () => {
    const changed = [];
    for (const what of ['tool', 'prompt']) {
      // The stream for it may be open only a moment after the session.
      let seen;
      for (let tries = 0; tries < 20 && !seen; tries++) {
        await s.call(`test_trigger_${what}_change`, {});
        seen = await s.told.next(`notifications/${what}s/list_changed`, 500);
      }
      changed.push(seen !== undefined);
    }
    return changed;
  });
  await check('subscription', async () => {
    const uri = 'test://watched-resource';
    await s.subscribe(uri);
    const updates = await s.told.take('notifications/resources/updated', 2);
    await s.unsubscribe(uri);
    return updates.map((u) => u.uri);
  });
}
