// The official TypeScript SDK (@modelcontextprotocol/server) as a peer of the bench suite: Streamable HTTP on /mcp over
// node:http by @modelcontextprotocol/node, in one process, as Node runs by default.
//
// Every answer is one JSON body. For 2026-07-28 that is what createMcpHandler does by itself. The stateless fallback
// for 2025-11-25 that it brings answers with an event stream per request, so that revision is routed to the SDK's own
// transport with enableJsonResponse, in the way that the SDK documents at isLegacyRequest. The body is parsed here,
// once, and handed on, which spares the clone of the request that either side would make.
import { createServer } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import {
    createMcpHandler,
    isJsonContentType,
    isLegacyRequest,
    McpServer,
    WebStandardStreamableHTTPServerTransport
} from '@modelcontextprotocol/server';
import * as z from 'zod';

const echo = { description: 'echo the text', inputSchema: z.object({ text: z.string() }) };
const sleep = { description: 'sleep for some milliseconds', inputSchema: z.object({ ms: z.number() }) };

const text = s => ({ content: [{ type: 'text', text: s }] });

// The SDK wants a server of its own for each request; the schemas are made once.
function newServer() {
    const server = new McpServer({ name: 'bench', version: '1.0.0' });
    server.registerTool('echo', echo, args => text(args.text));
    server.registerTool('sleep', sleep, async args => {
        await wait(args.ms);
        return text('done');
    });
    return server;
}

const modern = createMcpHandler(newServer, { legacy: 'reject' });

async function legacy(request, parsedBody) {
    const server = newServer();
    await server.connect(
        new WebStandardStreamableHTTPServerTransport({ sessionIdGenerator: undefined, enableJsonResponse: true })
    );
    try {
        return await server.server.transport.handleRequest(request, { parsedBody });
    } finally {
        await server.close();
    }
}

const refuse = (status, code, message) =>
    Response.json({ jsonrpc: '2.0', id: null, error: { code, message } }, { status });

async function serve(request) {
    if (request.method !== 'POST') return refuse(405, -32000, 'Method not allowed');
    if (!isJsonContentType(request.headers.get('content-type'))) return refuse(415, -32000, 'Unsupported media type');
    let parsedBody;
    try {
        parsedBody = await request.json();
    } catch {
        return refuse(400, -32700, 'Parse error');
    }
    if (await isLegacyRequest(request, parsedBody)) return legacy(request, parsedBody);
    return modern.fetch(request, { parsedBody });
}

const { values } = parseArgs({ options: { listen: { type: 'string', default: '127.0.0.1:8080' } } });
const at = values.listen.lastIndexOf(':');
const hostAllowed = localhostHostValidation();
const originAllowed = localhostOriginValidation();
const handle = toNodeHandler({ fetch: serve });

// Kept connections are kept, as those of the other servers are: Node's default ends them after 5 s without a request.
const http = createServer({ keepAliveTimeout: 0 }, (req, res) => {
    if (!hostAllowed(req, res) || !originAllowed(req, res)) return;
    if (req.url !== '/mcp') return void res.writeHead(404).end();
    void handle(req, res);
});
http.listen(Number(values.listen.slice(at + 1)), values.listen.slice(0, at));

for (const signal of ['SIGTERM', 'SIGINT']) {
    process.once(signal, () => {
        http.close();
        http.closeIdleConnections();
        setTimeout(() => http.closeAllConnections(), 1000).unref();
    });
}
