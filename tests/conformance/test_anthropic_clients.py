"""Anthropic's own clients, unchanged, against the real engine."""

import os
import signal

import anthropic
import pytest

ASK = [{"role": "user", "content": "What is the weather in Paris?"}]
TOOL = {
    "name": "weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string", "maxLength": 10}}, "required": ["city"]},
}


@pytest.fixture
def client(shared):
    with anthropic.Anthropic(base_url=shared.url, api_key="any", max_retries=0) as one:
        yield one


def test_python_messages_and_streaming(client):
    answer = client.messages.create(model="smol", max_tokens=6, messages=ASK, extra_body={"temperature": 0})
    assert answer.type == "message" and answer.role == "assistant" and answer.model == "smol"
    assert answer.content[0].text and answer.stop_reason == "max_tokens" and answer.usage.output_tokens == 6
    with client.messages.stream(model="smol", max_tokens=6, messages=ASK, extra_body={"temperature": 0}) as stream:
        assert "".join(stream.text_stream) == answer.content[0].text
        last = stream.get_final_message()
    assert last.stop_reason == "max_tokens" and last.usage.output_tokens == 6


def test_python_a_stop_sequence_is_the_reason(client):
    asked = {"model": "smol", "max_tokens": 60, "messages": ASK, "stop_sequences": ["."], "extra_body": {"temperature": 0}}
    answer = client.messages.create(**asked)
    assert (answer.stop_reason, answer.stop_sequence) == ("stop_sequence", ".")
    with client.messages.stream(**asked) as stream:
        last = stream.get_final_message()
    assert (last.stop_reason, last.stop_sequence) == ("stop_sequence", ".")


def test_python_system_blocks_and_count(client):
    blocks = [{"role": "user", "content": [{"type": "text", "text": "Hello,"}, {"type": "text", "text": " you."}]}]
    system = [{"type": "text", "text": "Be brief."}]
    assert client.messages.create(model="smol", max_tokens=2, messages=blocks, system=system).content[0].text
    few = client.messages.count_tokens(model="smol", messages=blocks).input_tokens
    assert client.messages.count_tokens(model="smol", messages=blocks, system="word " * 50).input_tokens > few > 2


def test_python_tools_and_their_results(client):
    talk = [
        *ASK,
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Paris"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]},
    ]
    answer = client.messages.create(model="smol", max_tokens=3, messages=talk, tools=[TOOL])
    assert answer.content and answer.usage.output_tokens == 3


def test_python_models(client):
    assert {"smol", "minilm"} <= {one.id for one in client.models.list()}
    model = client.models.retrieve("smol")
    assert model.id == "smol" and model.type == "model" and model.created_at.year > 2000


def test_python_errors(client):
    with pytest.raises(anthropic.NotFoundError, match="smol") as raised:
        client.messages.create(model="smoll", max_tokens=2, messages=ASK)
    assert raised.value.body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("nobody")
    with pytest.raises(anthropic.BadRequestError) as raised:
        client.messages.create(model="smol", max_tokens=2, messages=[{"role": "user", "content": 5}])
    assert raised.value.body["type"] == "error" and raised.value.body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 512 maximum"):
        client.messages.create(model="smol", max_tokens=2, messages=[{"role": "user", "content": "river " * 900}])


def test_python_hears_of_an_engine_that_dies_in_mid_stream(doomed):
    client = anthropic.Anthropic(base_url=doomed.url, api_key="any", max_retries=0)
    with pytest.raises(anthropic.APIError, match="signal 9"):
        with client.messages.stream(model="smol", max_tokens=400, messages=ASK, extra_body={"ignore_eos": True}) as stream:
            for count, _ in enumerate(stream.text_stream):
                if count == 2:
                    os.kill(doomed.pid_of("smol"), signal.SIGKILL)
    assert client.messages.create(model="smol", max_tokens=2, messages=ASK).content


def test_javascript_client(shared, javascript):
    javascript("anthropic_client.mjs", shared.url, package="@anthropic-ai")
