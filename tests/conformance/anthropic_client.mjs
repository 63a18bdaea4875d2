// Anthropic's JavaScript client, unchanged: node anthropic_client.mjs BASE_URL
import assert from 'node:assert/strict';
import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: process.argv[2], apiKey: 'any', maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];
const ask = { model: 'smol', max_tokens: 6, messages, temperature: 0 };

const answer = await client.messages.create(ask);
assert.equal(answer.type, 'message');
assert.equal(answer.stop_reason, 'max_tokens');
assert.ok(answer.content[0].text);

const streamed = await client.messages.stream(ask).finalMessage();
assert.equal(streamed.content[0].text, answer.content[0].text);
assert.equal(streamed.usage.output_tokens, 6);

assert.ok((await client.messages.countTokens({ model: 'smol', messages })).input_tokens > 6);
const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.ok(models.includes('smol'));

await assert.rejects(client.messages.create({ ...ask, model: 'smoll' }), (error) => error instanceof Anthropic.NotFoundError && /smol/.test(error.message));
await assert.rejects(client.messages.create({ ...ask, messages: [{ role: 'user', content: 5 }] }), Anthropic.BadRequestError);
console.log('all fine');
