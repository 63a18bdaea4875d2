"""What LangChain's users do with Ollama, OpenAI and Anthropic. Each case asks the server at `url` and gives plain values."""

import asyncio

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_ollama import ChatOllama, OllamaEmbeddings, OllamaLLM
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from ollama import ResponseError

ASK = "What is the weather in Paris?"
COLD = {"temperature": 0, "seed": 1, "num_predict": 6}
COLOUR = {"title": "colour", "type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"]}


@tool
def weather(city: str) -> str:
    """The weather in a city"""
    return city


def ollama(url, **more):
    return ChatOllama(base_url=url, **{"model": "smol", **COLD, **more})


def openai(url, **more):
    return ChatOpenAI(model="smol", base_url=f"{url}/v1", api_key="any", temperature=0, max_retries=0, **{"max_tokens": 6, **more})


def anthropic(url, **more):
    return ChatAnthropic(model_name="smol", base_url=url, api_key="any", temperature=0, max_retries=0, **{"max_tokens": 6, **more})


def message(answer):
    metadata = {key: value for key, value in answer.response_metadata.items() if not key.endswith(("_duration", "created_at"))}
    return {"content": answer.content, "metadata": metadata, "usage": answer.usage_metadata, "tool_calls": answer.tool_calls}


def joined(pieces):
    pieces = list(pieces)
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    return {"pieces": len(pieces), **message(whole)}


async def streamed(model):
    return [piece async for piece in model.astream(ASK)]


def with_tools(url):
    model = ollama(url).bind_tools([weather])
    call = model.invoke(ASK)
    talk = [HumanMessage(ASK), call, ToolMessage("sunny", tool_call_id="1", name="weather")]
    return {"call": message(call), "result": message(model.invoke(talk))}


def embeddings(model):
    return {"documents": [len(one) for one in model.embed_documents(["a river", "a stone"])], "query": len(model.embed_query("a river"))}


CASES = {
    "ollama chat": lambda url: message(ollama(url, validate_model_on_init=True).invoke([SystemMessage("Be brief."), HumanMessage(ASK)])),
    "ollama chat, stream": lambda url: joined(ollama(url).stream(ASK)),
    "ollama chat, async": lambda url: joined(asyncio.run(streamed(ollama(url)))),
    "ollama chat, stop": lambda url: message(ollama(url, num_predict=40, stop=["."]).invoke(ASK)),
    "ollama chat, tools": with_tools,
    "ollama chat, schema": lambda url: ollama(url, num_predict=60).with_structured_output(COLOUR, method="json_schema").invoke("A colour?"),
    "ollama chat, not there": lambda url: message(ollama(url, model="nobody").invoke(ASK)),
    "ollama completion": lambda url: OllamaLLM(model="smol", base_url=url, **COLD).invoke("One, two, three,"),
    "ollama completion, stream": lambda url: "".join(OllamaLLM(model="smol", base_url=url, **COLD).stream("One, two, three,")),
    "ollama embeddings": lambda url: embeddings(OllamaEmbeddings(model="minilm", base_url=url)),
    "openai chat": lambda url: message(openai(url).invoke(ASK)),
    "openai chat, stream": lambda url: joined(openai(url, stream_usage=True).stream(ASK)),
    "openai chat, logprobs": lambda url: len(openai(url, logprobs=True, top_logprobs=2).invoke(ASK).response_metadata["logprobs"]["content"]),
    "openai chat, schema": lambda url: openai(url, max_tokens=60).with_structured_output(COLOUR, method="json_schema").invoke("A colour?"),
    "openai responses": lambda url: message(openai(url, use_responses_api=True, max_tokens=20).invoke(ASK)),
    "openai responses, stream": lambda url: joined(openai(url, use_responses_api=True, max_tokens=20).stream(ASK)),
    "openai embeddings": lambda url: embeddings(OpenAIEmbeddings(
        model="minilm", base_url=f"{url}/v1", api_key="any", check_embedding_ctx_length=False, dimensions=16)),
    "anthropic chat": lambda url: message(anthropic(url).invoke(ASK)),
    "anthropic chat, stream": lambda url: joined(anthropic(url).stream(ASK)),
    "anthropic chat, stop": lambda url: message(anthropic(url, max_tokens=60, stop=["."]).invoke(ASK)),
}
