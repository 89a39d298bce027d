// A provider for tests of the page's part of the login: code flow with PKCE (RFC 7636), S256 only.
// It lets everybody in as one made-up nurse.

import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

const PERSON = { id: 'o1', name: 'Harjoitus-Hoitaja Oili', role: 'registered-nurse' };

export async function startIssuer() {
  const codes = new Map();
  const tokens = new Set();
  const provider = { url: '', refusals: [], logins: 0 };

  function authorize(query, response) {
    const code = randomUUID();
    codes.set(code, Object.fromEntries(query));
    provider.logins += 1;
    const back = new URL(query.get('redirect_uri'));
    back.search = new URLSearchParams({ code, state: query.get('state'), iss: provider.url });
    response.writeHead(302, { Location: back.href }).end();
  }

  function exchange(form, response) {
    const headers = { 'Content-Type': 'application/json', 'Access-Control-Allow-Origin': '*' };
    const asked = codes.get(form.get('code'));
    codes.delete(form.get('code'));
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    const isGood =
      asked &&
      asked.code_challenge_method === 'S256' &&
      asked.code_challenge === challenge &&
      asked.redirect_uri === form.get('redirect_uri') &&
      asked.client_id === form.get('client_id');
    if (!isGood) {
      provider.refusals.push(form.get('code'));
      response.writeHead(400, headers).end(JSON.stringify({ error: 'invalid_grant' }));
      return;
    }
    const token = randomUUID();
    tokens.add(token);
    const claims = Buffer.from(JSON.stringify({ nonce: asked.nonce })).toString('base64url');
    response
      .writeHead(200, headers)
      .end(
        JSON.stringify({ access_token: token, token_type: 'Bearer', id_token: `e30.${claims}.` }),
      );
  }

  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://issuer');
    if (url.pathname === '/authorize') {
      authorize(url.searchParams, response);
      return;
    }
    let text = '';
    for await (const chunk of request) text += chunk;
    if (url.pathname === '/token') exchange(new URLSearchParams(text), response);
    else response.writeHead(404).end();
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  provider.url = `http://127.0.0.1:${server.address().port}`;
  provider.person = (token) => (tokens.has(token) ? PERSON : null);
  provider.settings = () => ({
    development: false,
    issuer: provider.url,
    client_id: 'bedside',
    authorization_endpoint: `${provider.url}/authorize`,
    token_endpoint: `${provider.url}/token`,
  });
  provider.close = () => {
    server.closeAllConnections();
    server.close();
  };
  return provider;
}
