// A session through the generated client: find the contact, send, list, close, reopen.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

import { client } from './api/client.gen';
import {
    getConversation, getMessage, getWindow, listContacts, listConversations, listMessages, me, sendMessage, setStatus,
} from './api/sdk.gen';
import type { Message, Sent } from './api/types.gen';

const { TRANSOM_URL: url, TRANSOM_TOKEN: token } = process.env;
assert(url && token, 'TRANSOM_URL and TRANSOM_TOKEN say where the service is');
client.setConfig({ baseUrl: `${url}/v1`, auth: token });

/** The answer, which must be no refusal. */
async function answer<T>(call: Promise<{ data?: T; error?: unknown }>): Promise<NonNullable<T>> {
    const { data, error } = await call;
    assert(data, JSON.stringify(error));
    return data;
}

/** Looks until it is so; the service works in the background. */
async function until<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
    const deadline = Date.now() + 60_000;
    while (Date.now() < deadline) {
        const found = await look();
        if (found !== undefined) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`waited in vain until ${what}`);
}

async function sent(message: Sent): Promise<Message> {
    return until('the message is sent', async () => {
        const now = await answer(getMessage({ path: { id: message.id } }));
        assert.notEqual(now.state, 'failed', JSON.stringify(now.failure));
        return ['sent', 'delivered', 'read'].includes(now.state ?? '') ? now : undefined;
    });
}

async function main(): Promise<void> {
    const myself = await answer(me());

    const open = await answer(listConversations({ query: { q: 'window:open platform:telegram', limit: 1 } }));
    const [listed] = open.items;
    assert(listed?.contact_name, 'the demo has somebody on Telegram who may be written to');
    const found = await answer(listContacts({ query: { q: `name:"${listed.contact_name}"` } }));
    assert(found.items.some((contact) => contact.id === listed.contact), `${listed.contact_name} is found by name`);

    const path = { id: listed.id };
    const window = await answer(getWindow({ path }));
    assert(window.human.permits.length > 0, 'something may be sent');

    const key = randomUUID();
    const send = (text: string, key: string) =>
        answer(sendMessage({ path, body: { type: 'reply', text }, headers: { 'IDEMPOTENCY-KEY': key } }));
    const first = await send('It is on its way.', key);
    assert.equal((await send('It is on its way.', key)).id, first.id, 'the same request twice is one message');
    await sent(first);

    const page = await answer(listMessages({ path, query: { limit: 50 } }));
    assert.equal(page.items.filter((message) => message.id === first.id).length, 1, 'it is on the list, once');

    await answer(setStatus({ path, body: { status: 'closed' } }));
    assert.equal((await answer(getConversation({ path }))).status, 'closed');

    await sent(await send('One more thing.', randomUUID()));
    const reopened = await answer(getConversation({ path }));
    assert.equal(reopened.status, 'open', 'a reply reopens');
    assert.equal(reopened.assignee.agent, myself.agent.id, 'for whoever sent it');

    const refused = await sendMessage({ path, body: { type: 'reply', text: '' } });
    assert(refused.error && 'code' in refused.error && refused.error.code, 'a refusal has a code');
    console.log(`found ${listed.contact_name}, sent, listed, closed and reopened`);
}

main().catch((error: unknown) => {
    console.error(error);
    process.exitCode = 1;
});
