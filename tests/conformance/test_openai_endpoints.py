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
    assert [one.sequence_number for one in events] == list(range(len(events)))
    assert events[0].type == "response.created" and events[-1].type == "response.incomplete"
    assert answer.status == events[-1].response.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_the_helper_for_streams_of_responses_puts_them_together(client):
    with client.responses.stream(model="smol", input="Say hello.", temperature=0) as stream:
        deltas = [one.delta for one in stream if one.type == "response.output_text.delta"]
        whole = stream.get_final_response()
    assert whole.status == "completed" and whole.output_text == "".join(deltas)


def test_completions_tell_log_probabilities_in_lists(client):
    asked = {"model": "smol", "prompt": "One, two,", "max_tokens": 3, "logprobs": 2, "temperature": 0}
    answer = client.completions.create(**asked).choices[0]
    told = answer.logprobs
    assert "".join(told.tokens) == answer.text and [len(one) for one in told.top_logprobs] == [2, 2, 2]
    assert told.text_offset[0] == 0 and told.text_offset[1] == len(told.tokens[0])
    pieces = [one.choices[0].logprobs for one in client.completions.create(**asked, stream=True) if one.choices]
    assert sum((one.text_offset for one in pieces if one), []) == told.text_offset


def test_embeddings_have_the_wanted_length(client):
    floats = client.embeddings.create(model="minilm", input="a river", dimensions=16, encoding_format="float").data[0].embedding
    short = client.embeddings.create(model="minilm", input="a river", dimensions=16).data[0].embedding
    whole = client.embeddings.create(model="minilm", input="a river").data[0].embedding
    assert len(short) == 16 and abs(sum(one * one for one in short) - 1) < 1e-5
    assert max(abs(x - y) for x, y in zip(short, floats, strict=True)) < 1e-6
    assert abs(short[0] / short[1] - whole[0] / whole[1]) < 1e-3


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


def test_a_model_of_another_task_is_refused_with_the_remedy(client):
    with pytest.raises(openai.BadRequestError, match="'smol' makes no embeddings"):
        client.embeddings.create(model="smol", input="A cat.")
    with pytest.raises(openai.BadRequestError, match="'minilm' makes embeddings and generates no text"):
        client.chat.completions.create(model="minilm", messages=ASK)
