"""The first call through a limiter, ready to be copied: Python, JavaScript, curl."""

import json
from dataclasses import dataclass

MODEL = "gpt-4o-mini"


@dataclass(frozen=True, slots=True)
class Snippet:
    """A piece of code and the language that it is in."""

    title: str
    text: str


def snippets(proxy_url: str) -> list[Snippet]:
    """The same call three times."""
    address = json.dumps(proxy_url)
    return [
        Snippet("Python", _PYTHON.format(address=address, model=MODEL)),
        Snippet("JavaScript", _JAVASCRIPT.format(address=address, model=MODEL)),
        Snippet("curl", _CURL.format(address=proxy_url, model=MODEL)),
    ]


_PYTHON = """\
from openai import OpenAI

client = OpenAI(
    api_key="sk-...",  # your own key, passed on and never stored
    base_url={address},
)
answer = client.chat.completions.create(
    model="{model}",
    messages=[{{"role": "user", "content": "Say hello."}}],
)
print(answer.choices[0].message.content)
"""
_JAVASCRIPT = """\
import OpenAI from "openai";

const client = new OpenAI({{
  apiKey: "sk-...", // your own key, passed on and never stored
  baseURL: {address},
}});
const answer = await client.chat.completions.create({{
  model: "{model}",
  messages: [{{ role: "user", content: "Say hello." }}],
}});
console.log(answer.choices[0].message.content);
"""
_CURL = """\
curl {address}/chat/completions \\
  -H "Authorization: Bearer $OPENAI_API_KEY" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Say hello."}}]}}'
"""
