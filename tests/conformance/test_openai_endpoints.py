"""OpenAI's own client on what is beside chats: responses, base64, refusals, keep_alive."""

import openai
import pytest
from support import wait_until

ASK = [{"role": "user", "content": "Say hello."}]


@pytest.fixture
def client(shared):
    with openai.OpenAI(base_url=f"{shared.url}/v1", api_key="any", max_retries=0) as one:
        yield one


def test_responses_stream_and_do_not(client):
    answer = client.responses.create(model="smol", input="Say hello.", max_output_tokens=6, temperature=0)
    assert answer.output_text and answer.usage.output_tokens == 6
    events = list(client.responses.create(model="smol", input="Say hello.", max_output_tokens=6, temperature=0, stream=True))
    assert "".join(one.delta for one in events if one.type == "response.output_text.delta") == answer.output_text
    assert events[0].type == "response.created" and events[-1].type == "response.completed"


def test_keep_alive_is_accepted(client, shared):
    client.chat.completions.create(model="smol", messages=ASK, max_tokens=1, extra_body={"keep_alive": -1})
    assert shared.instances()["smol"]["expires_at_ms"] is None
    client.chat.completions.create(model="smol", messages=ASK, max_tokens=1, extra_body={"keep_alive": "1h"})
    assert shared.instances()["smol"]["expires_at_ms"]
    client.completions.create(model="smol", prompt="x", max_tokens=1, extra_body={"keep_alive": 0})
    wait_until(lambda: "smol" not in shared.instances(), 5, "the model's leaving")


def test_what_is_not_offered_is_refused_politely(client):
    with pytest.raises(openai.NotFoundError, match="moderations.*leave this step out"):
        client.moderations.create(input="x")
    with pytest.raises(openai.NotFoundError, match="pictures"):
        client.images.generate(model="smol", prompt="x")


def test_what_a_model_cannot_do_is_a_bad_request(client):
    with pytest.raises(openai.BadRequestError, match="audio"):
        client.audio.transcriptions.create(model="smol", file=("a.wav", b"RIFF"))
    with pytest.raises(openai.BadRequestError, match="embedding"):
        client.embeddings.create(model="smol", input="x")


def test_a_prompt_that_is_too_long_has_the_code_that_programs_look_for(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="smol", messages=[{"role": "user", "content": "river " * 900}], max_tokens=1)
    assert raised.value.code == "context_length_exceeded"
