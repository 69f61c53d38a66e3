// Makes the same calls with and without the proxy, then one that the budget refuses; prints what the SDK returned.
import OpenAI from "openai";

const [withProxy, without] = process.argv.slice(2);
const ask = { model: "gpt-4o", messages: [{ role: "user", content: "What is the capital of France?" }] };
const tools = [{ type: "function", function: { name: "get_weather", parameters: { type: "object", properties: {} } } }];

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const ways = {
  plain: (client) => client.chat.completions.create(ask),
  streamed: async (client) => all(await client.chat.completions.create({ ...ask, stream: true })),
  asked: async (client) =>
    all(await client.chat.completions.create({ ...ask, stream: true, stream_options: { include_usage: true } })),
  helper: (client) => client.chat.completions.stream(ask).finalChatCompletion(),
  tools: (client) => client.chat.completions.create({ ...ask, tools }),
  response: (client) => client.responses.create({ model: "gpt-4o", input: "What is the capital of France?" }),
  responseStreamed: async (client) =>
    all(await client.responses.create({ model: "gpt-4o", input: "What is the capital of France?", stream: true })),
};

async function run(baseURL) {
  const client = new OpenAI({ apiKey: "sk-a-client", baseURL });
  const results = {};
  for (const [name, way] of Object.entries(ways)) results[name] = await way(client);
  return results;
}

const results = { withProxy: await run(withProxy), without: await run(without), refusal: null };
try {
  await new OpenAI({ apiKey: "sk-a-client", baseURL: withProxy }).chat.completions.create(ask);
} catch (error) {
  results.refusal = { name: error.constructor.name, status: error.status, code: error.code, message: error.message };
}
console.log(JSON.stringify(results));
