// Makes a plain and a streamed chat call, then a third that the budget refuses; prints what the SDK returned.
import OpenAI from "openai";

const client = new OpenAI({ apiKey: "sk-a-client", baseURL: process.argv[2] });
const ask = { model: "gpt-4o", messages: [{ role: "user", content: "What is the capital of France?" }] };

const plain = await client.chat.completions.create(ask);
let streamed = "";
let emptyChunks = 0;
for await (const chunk of await client.chat.completions.create({ ...ask, stream: true })) {
  if (chunk.choices.length === 0) emptyChunks += 1;
  else streamed += chunk.choices[0].delta.content ?? "";
}
let refusal = null;
try {
  await client.chat.completions.create(ask);
} catch (error) {
  refusal = { name: error.constructor.name, status: error.status, code: error.code, message: error.message };
}
console.log(JSON.stringify({ plain: plain.choices[0].message.content, streamed, emptyChunks, refusal }));
