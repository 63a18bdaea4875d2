"""What LlamaIndex's users do with Ollama and with servers that are like OpenAI's."""

import asyncio

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.ollama import OllamaEmbedding
from llama_index.llms.ollama import Ollama
from llama_index.llms.openai_like import OpenAILike
from ollama import ResponseError

ASK = "What is the weather in Paris?"
TALK = [ChatMessage(role="system", content="Be brief."), ChatMessage(role="user", content=ASK)]


def weather(city: str) -> str:
    """The weather in a city"""
    return city


def ollama(url, **more):
    options = {"num_predict": 6, "seed": 1, **more.pop("options", {})}
    return Ollama(model="smol", base_url=url, temperature=0, request_timeout=60, context_window=512, additional_kwargs=options, **more)


def openai(url, **more):
    return OpenAILike(
        model="smol", api_base=f"{url}/v1", api_key="any", is_chat_model=True, temperature=0, max_tokens=6, max_retries=0, **more)


def last_of(stream):
    pieces = list(stream)
    return {"pieces": len(pieces), "content": pieces[-1].message.content}


async def later(model):
    return (await model.achat(TALK)).message.content


def raw_of(answer):
    return {"content": answer.message.content, "raw": sorted(dict(answer.raw))}


CASES = {
    "ollama complete": lambda url: ollama(url).complete("One, two, three,").text,
    "ollama complete, stream": lambda url: "".join(one.delta for one in ollama(url).stream_complete("One, two, three,")),
    "ollama chat": lambda url: raw_of(ollama(url).chat(TALK)),
    "ollama chat, stream": lambda url: last_of(ollama(url).stream_chat(TALK)),
    "ollama chat, async": lambda url: asyncio.run(later(ollama(url))),
    "ollama chat, json": lambda url: ollama(url, json_mode=True, options={"num_predict": 20}).complete("Some JSON:").text[:1],
    "ollama chat, tools": lambda url: ollama(url).chat_with_tools([FunctionTool.from_defaults(weather)], user_msg=ASK).message.content,
    "ollama chat, not there": lambda url: Ollama(model="nobody", base_url=url, request_timeout=60).complete("x").text,
    "ollama embedding": lambda url: len(OllamaEmbedding(model_name="minilm", base_url=url).get_text_embedding("a river")),
    "ollama embedding, batch": lambda url: [len(one) for one in OllamaEmbedding(model_name="minilm", base_url=url).get_text_embedding_batch(["a", "b"])],
    "openai chat": lambda url: openai(url).chat(TALK).message.content,
    "openai chat, stream": lambda url: last_of(openai(url).stream_chat(TALK)),
    "openai complete": lambda url: OpenAILike(
        model="smol", api_base=f"{url}/v1", api_key="any", is_chat_model=False, temperature=0, max_tokens=6, max_retries=0).complete("One, two,").text,
}
