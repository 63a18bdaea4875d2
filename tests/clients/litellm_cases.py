"""What LiteLLM does as a client of Ollama, OpenAI and Anthropic."""

import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for prices

import litellm

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}
COLD = {"temperature": 0, "max_tokens": 6, "num_retries": 0}
litellm.telemetry = False
litellm.suppress_debug_info = True


def message(answer):
    choice = answer.choices[0]
    return {"content": choice.message.content, "finish_reason": choice.finish_reason, "tokens": answer.usage.completion_tokens, "model": answer.model}


def joined(stream):
    pieces = list(stream)
    return {"content": "".join(one.choices[0].delta.content or "" for one in pieces), "finish_reason": pieces[-1].choices[0].finish_reason}


def ask(url, provider, **more):
    base = f"{url}/v1" if provider == "openai" else url
    return litellm.completion(model=f"{provider}/smol", api_base=base, api_key="any", messages=ASK, **{**COLD, **more})


def cases_of(provider):
    return {
        f"{provider} chat": lambda url: message(ask(url, provider)),
        f"{provider} chat, stream": lambda url: joined(ask(url, provider, stream=True)),
        f"{provider} chat, tools": lambda url: message(ask(url, provider, tools=[TOOL])),
        f"{provider} chat, stop": lambda url: message(ask(url, provider, max_tokens=40, stop=["."])),
        f"{provider} chat, not there": lambda url: message(litellm.completion(
            model=f"{provider}/nobody", api_base=f"{url}/v1" if provider == "openai" else url, api_key="any", messages=ASK, **COLD)),
    }


CASES = {
    **cases_of("ollama_chat"),
    **cases_of("ollama"),
    **cases_of("openai"),
    **cases_of("anthropic"),
    "text completion": lambda url: litellm.text_completion(
        model="text-completion-openai/smol", api_base=f"{url}/v1", api_key="any", prompt="One, two,", **COLD).choices[0].text,
    "ollama embedding": lambda url: [len(one["embedding"]) for one in litellm.embedding(
        model="ollama/minilm", api_base=url, input=["a river", "a stone"]).data],
    "openai embedding": lambda url: [len(one["embedding"]) for one in litellm.embedding(
        model="openai/minilm", api_base=f"{url}/v1", api_key="any", input=["a river"], dimensions=16, encoding_format="float", allowed_openai_params=["dimensions"]).data],
    "responses": lambda url: litellm.responses(
        model="openai/smol", api_base=f"{url}/v1", api_key="any", input="What is the weather in Paris?", temperature=0, max_output_tokens=6).status,
}
