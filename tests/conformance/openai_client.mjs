// OpenAI's JavaScript client, unchanged: node openai_client.mjs BASE_URL
import assert from 'node:assert/strict';
import OpenAI from 'openai';

const client = new OpenAI({ baseURL: process.argv[2], apiKey: 'any', maxRetries: 0 });
const messages = [{ role: 'user', content: 'What is the weather in Paris?' }];

const answer = await client.chat.completions.create({ model: 'smol', messages, max_tokens: 6 });
assert.ok(answer.choices[0].message.content);

let streamed = '';
for await (const chunk of await client.chat.completions.create({ model: 'smol', messages, max_tokens: 6, stream: true })) {
  streamed += chunk.choices[0]?.delta?.content ?? '';
}
assert.ok(streamed);

const embeddings = await client.embeddings.create({ model: 'minilm', input: ['a', 'b'] });
assert.equal(embeddings.data.length, 2);
assert.equal(embeddings.data[0].embedding.length, 384);

const tools = [{
  type: 'function',
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string', maxLength: 10 } }, required: ['city'] } },
}];
// The smallest of models may talk for long before it calls: it is helped to begin.
const call = [...messages, { role: 'assistant', content: '<tool_call>\n' }];
const called = await client.chat.completions.create({ model: 'smol', messages: call, tools, tool_choice: 'required', temperature: 0, max_tokens: 60 });
assert.equal(called.choices[0].message.tool_calls[0].function.name, 'weather');

await assert.rejects(client.chat.completions.create({ model: 'smoll', messages }), (error) => error instanceof OpenAI.NotFoundError && /smol/.test(error.message));
await assert.rejects(client.chat.completions.create({ model: 'smol', messages: 'nonsense' }), OpenAI.BadRequestError);
console.log('all fine');
