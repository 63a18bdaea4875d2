// Ollama's JavaScript client, unchanged: node ollama_client.mjs HOST
import assert from 'node:assert/strict';
import { Ollama } from 'ollama';

const client = new Ollama({ host: process.argv[2] });
const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];
const options = { num_predict: 6, temperature: 0 };

const whole = await client.chat({ model: 'smol', messages, options });
assert.ok(whole.message.content);
assert.equal(whole.done_reason, 'length');
assert.equal(whole.eval_count, 6);

let streamed = '';
for await (const piece of await client.chat({ model: 'smol', messages, options, stream: true })) {
  streamed += piece.message.content;
}
assert.equal(streamed, whole.message.content);

const generated = await client.generate({ model: 'smol', prompt: 'Count: one, two,', options });
assert.ok(generated.response && generated.context.length > 6);

const format = { type: 'object', properties: { colour: { enum: ['red', 'blue'] } }, required: ['colour'] };
const formed = await client.generate({ model: 'smol', prompt: 'A colour:', raw: true, format, options: { ...options, num_predict: 60 } });
assert.ok(['red', 'blue'].includes(JSON.parse(formed.response).colour));

const embedded = await client.embed({ model: 'minilm', input: ['a', 'b'] });
assert.deepEqual(embedded.embeddings.map((one) => one.length), [384, 384]);
assert.equal((await client.embeddings({ model: 'minilm', prompt: 'a' })).embedding.length, 384);

assert.ok((await client.list()).models.some((one) => one.name === 'smol:latest'));
assert.ok((await client.ps()).models.some((one) => one.name === 'smol:latest'));
assert.equal((await client.show({ model: 'smol' })).details.family, 'llama');
assert.match((await client.version()).version, /^\d+\.\d+\.\d+$/);

await assert.rejects(client.chat({ model: 'nobody', messages }), (error) => error.status_code === 404 && /not found/.test(error.message));
await assert.rejects(client.chat({ model: 'smol', messages: 'nonsense' }), (error) => error.status_code === 400 && /messages/.test(error.message));

const stream = await client.generate({ model: 'smol', prompt: 'Tell me a story.', options: { num_predict: 1000 }, stream: true });
await assert.rejects(async () => {
  for await (const _ of stream) stream.abort();
}, { name: 'AbortError' });
console.log('all fine');
