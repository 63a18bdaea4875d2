"""The clients of OpenAI and Anthropic, unchanged, where a cascade judges the answers of the real engine."""

import anthropic
import openai
import pytest

ASK = [{"role": "user", "content": "Say hello."}]
TOOL = {"name": "weather", "description": "The weather in a city", "input_schema": {"type": "object", "properties": {}}}


@pytest.fixture
def server(start, real_models):
    models = {name: {"file": str(real_models[name])} for name in ("smol", "gemma")}
    route = {"cascade": {"models": ["smol", "gemma"], "confidence": 0, "hold": 3}}
    return start({"models": models, "defaults": {"context": 512, "threads": 1}, "routes": {"guarded": route}})


def test_responses_of_a_cascade(server):
    asked = {"model": "guarded", "input": "Say hello.", "max_output_tokens": 6, "temperature": 0}
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0) as client:
        answer = client.responses.create(**asked)
        events = list(client.responses.create(**asked, stream=True))
        with client.responses.stream(**{**asked, "max_output_tokens": 200}) as stream:  # it insists on a whole one
            whole = stream.until_done().get_final_response()
    assert answer.model == "smol" and answer.usage.output_tokens == 6 and answer.status == "incomplete"
    assert "".join(one.delta for one in events if one.type == "response.output_text.delta") == answer.output_text
    assert [one.sequence_number for one in events] == list(range(len(events)))
    assert whole.status == "completed" and whole.output_text.startswith(answer.output_text)


def test_messages_of_a_cascade(server):
    asked = {"model": "guarded", "max_tokens": 6, "messages": ASK, "extra_body": {"temperature": 0}}
    with anthropic.Anthropic(base_url=server.url, api_key="any", max_retries=0) as client:
        answer = client.messages.create(**asked)
        with client.messages.stream(**asked) as stream:
            assert "".join(stream.text_stream) == answer.content[0].text
            last = stream.get_final_message()
        with client.messages.stream(**asked, tools=[TOOL]) as stream:
            offered = stream.get_final_message()
    assert answer.model == "smol" and answer.stop_reason == last.stop_reason == "max_tokens"
    assert answer.usage.output_tokens == last.usage.output_tokens == 6
    assert offered.model == "smol" and 0 < offered.usage.output_tokens <= 6  # another prompt, another answer
