"""Routes: names that stand for a choice of model, over every API, with the fake engine."""

import json
import re
import subprocess
from pathlib import Path

import httpx
import pytest
import support
from remote_server import RemoteServer

CODE = "Write a Python function that reverses a linked list, with type hints and a docstring."
MATH = "Tom has 12 apples and buys 5 more for 2 dollars each. How many apples does he have now?"
CHAT = "Write a short poem about autumn in the mountains."

BY_TASK = {"routes": {"auto": {"task": {"code": "coder", "math": "tutor", "confidence": 0.4}, "fallback": ["talker", "coder"]}}}


def asking(text, model="auto", **fields):
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 2, **fields}


@pytest.fixture
def by_task(fake):
    return fake({"coder": "", "tutor": "", "talker": ""}, BY_TASK)


def answered_by(answer):
    assert answer.status_code == 200, answer.text
    return answer.headers["x-drover-model"]


def test_each_task_goes_to_its_model(by_task):
    for text, model in ((CODE, "coder"), (MATH, "tutor"), (CHAT, "talker")):
        answer = by_task.post("/v1/chat/completions", asking(text))
        assert answered_by(answer) == model
        assert answer.headers["x-drover-route"] == "auto"
        assert answer.headers["x-drover-reason"]


def test_every_api_takes_a_route(by_task):
    calls = [
        ("/v1/completions", {"model": "auto", "prompt": CODE, "max_tokens": 2}),
        ("/v1/messages", asking(CODE)),
        ("/v1/responses", {"model": "auto", "input": CODE}),
        ("/api/chat", asking(CODE, stream=False)),
        ("/api/generate", {"model": "auto", "prompt": CODE, "stream": False}),
    ]
    for path, body in calls:
        assert answered_by(by_task.post(path, body)) == "coder", path


def test_a_form_is_routed_though_nobody_knows_what_it_says(by_task):
    form = {"data": {"model": "auto", "language": "de"}, "files": {"file": ("a.wav", CODE.encode())}}
    answer = by_task.client.post("/v1/audio/transcriptions", **form)
    assert answered_by(answer) == "talker" and answer.headers["x-drover-route"] == "auto"
    got = answer.json()["body"]
    assert 'name="model"\r\n\r\ntalker\r\n' in got and 'name="language"\r\n\r\nde\r\n' in got and CODE in got


def test_streams_are_routed_too(by_task):
    with by_task.client.stream("POST", "/v1/chat/completions", json=asking(MATH, stream=True)) as answer:
        assert answer.headers["x-drover-model"] == "tutor"
        assert b"[DONE]" in answer.read()


def test_only_the_models_name_is_changed(fake):
    server = fake({"coder": ""}, {"routes": {"auto": {"fallback": "coder"}}})
    body = '{ "seed":  18446744073709551615, "model" :"auto","x":{"model":"auto"}, "é": 1.50, "input": "a" }'
    answer = server.client.post("/apply-template", content=body.encode())
    assert answer.status_code == 200
    echo = server.client.post("/infill", content=body.encode())
    assert echo.status_code == 200
    assert '"x":{"model":"auto"}' in echo.text.replace("\\", "") or "auto" not in echo.text


def test_routes_are_in_every_list(by_task):
    assert "auto" in [one["id"] for one in by_task.get("/v1/models").json()["data"]]
    assert by_task.get("/v1/models/auto").json()["id"] == "auto"
    assert ("auto", "route") in [(one["name"], one["task"]) for one in by_task.get("/admin/models").json()["models"]]
    assert "auto:latest" in [one["name"] for one in by_task.get("/api/tags").json()["models"]]
    assert "auto" in by_task.run("list").stdout


def test_a_route_can_do_what_all_of_its_models_can(fake):
    config = {"routes": {"auto": {"fallback": ["talker", "embedder"]}, "talk": {"fallback": "talker"}}}
    server = fake({"talker": "", "embedder": ""}, config, embedder={"task": "embedding"}, talker={"context": 512})
    tags = {one["name"]: one for one in server.get("/api/tags").json()["models"]}
    assert tags["talk:latest"]["capabilities"] == tags["talker:latest"]["capabilities"] != []
    assert tags["auto:latest"]["capabilities"] == []
    assert tags["auto:latest"]["digest"] != tags["talk:latest"]["digest"]
    shown = server.post("/api/show", {"model": "talk"})
    assert shown.status_code == 200 and shown.json()["capabilities"] == tags["talk:latest"]["capabilities"]
    assert shown.json()["model_info"]["route.context_length"] == 512
    assert "architecture    route" in server.run("show", "talk").stdout
    here = subprocess.run([support.DROVER, "-c", server.config_file, "show", "auto"], capture_output=True, text=True)
    assert "talker" in here.stdout and "embedder" in here.stdout, here


def test_a_decision_is_explained_without_running_it(by_task):
    decision = by_task.post("/v1/route", asking(CODE)).json()
    assert decision["models"] == ["coder", "talker"]
    assert decision["stage"] == "task" and decision["task"]["label"] == "code"
    assert decision["facts"] == {
        "text_bytes": len(CODE), "messages": 1, "tools": False, "images": False, "endpoint": "chat", "language": "en"
    }
    assert decision["stages"] == [{"stage": "task", "outcome": "decided", "why": decision["reason"]}]
    fallen = by_task.post("/v1/route", asking(CHAT)).json()["stages"]
    assert [one["stage"] for one in fallen] == ["task", "fallback"]
    assert fallen[0]["why"].startswith("task chat, confidence 0.") and "has no model" in fallen[0]["why"]
    assert all(one["bytes"] > 1_000_000 for one in decision["targets"])
    assert {one["model"]: one["hot"] for one in decision["targets"]} == {"coder": False, "tutor": False, "talker": False}
    assert by_task.instances() == {}
    assert by_task.post("/v1/route", asking(CODE, model="tutor")).json()["models"] == ["tutor"]
    assert by_task.post("/v1/route", asking(CODE, model="nobody")).status_code == 404
    nameless = by_task.post("/v1/route", {"messages": []})
    assert nameless.status_code == 400 and "names no model" in nameless.text
    for path in ("/v1/nothing", "/v1/models", "/v1/feedback", "chat"):
        unknown = by_task.post(f"/v1/route?path={path}", asking(CODE))
        assert unknown.status_code == 400 and f"?path={path} is no endpoint" in unknown.text


def test_a_conversation_stays_with_its_model(by_task):
    first = {"role": "user", "content": MATH}
    assert answered_by(by_task.post("/v1/chat/completions", {"model": "auto", "messages": [first]})) == "tutor"
    more = [first, {"role": "assistant", "content": "17"}, {"role": "user", "content": "ok"}]
    assert answered_by(by_task.post("/v1/chat/completions", {"model": "auto", "messages": more})) == "tutor"
    changed = [*more, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": CODE}]
    assert answered_by(by_task.post("/v1/chat/completions", {"model": "auto", "messages": changed})) == "coder"


def test_a_model_that_fails_is_replaced_before_anything_was_sent(fake):
    config = {"routes": {"auto": {"task": {"code": "broken", "confidence": 0.4}, "fallback": ["spare"]}}}
    server = fake({"broken": "exit-at-start=3", "spare": ""}, config)
    answer = server.post("/v1/chat/completions", asking(CODE))
    assert answered_by(answer) == "spare"
    assert "broken failed: engine_failed" in answer.headers["x-drover-reason"]
    ollama = server.post("/api/chat", asking(CODE, stream=False))
    assert answered_by(ollama) == "spare"


def test_a_model_that_can_never_fit_is_replaced(fake):
    config = {"routes": {"auto": {"fallback": ["huge", "spare"]}}}
    server = fake({"huge": "", "spare": ""}, config, huge={"context": 100_000_000})
    if server.chat("huge").status_code != 507:
        pytest.skip("this model fits at any context")
    assert answered_by(server.post("/v1/chat/completions", asking(CHAT))) == "spare"


def test_when_all_fail_the_last_error_is_told(fake):
    config = {"routes": {"auto": {"fallback": ["a", "b"]}}}
    server = fake({"a": "exit-at-start=3", "b": "exit-at-start=4"}, config)
    answer = server.post("/v1/chat/completions", asking(CHAT))
    assert answer.status_code == 502 and answer.headers["x-drover-route"] == "auto"
    assert "a failed" in answer.headers["x-drover-reason"] and "b failed" in answer.headers["x-drover-reason"]


def test_rules_come_first(fake):
    rules = [{"images": True, "use": "eye"}, {"contains": "translate", "use": "linguist"}, {"longer_than": "4KiB", "use": "long"}]
    config = {"routes": {"auto": {"rules": rules, "task": {"code": "coder"}, "fallback": "coder"}}}
    server = fake({"eye": "", "linguist": "", "long": "", "coder": ""}, config)
    picture = [{"type": "text", "text": CODE}, {"type": "image_url", "image_url": {"url": "data:,"}}]
    assert server.post("/v1/route", {"model": "auto", "messages": [{"role": "user", "content": picture}]}).json()["models"][0] == "eye"
    assert server.post("/v1/route", asking("Please TRANSLATE this")).json()["models"][0] == "linguist"
    assert server.post("/v1/route", asking("word " * 2000)).json()["models"][0] == "long"


def test_a_rule_for_each_kind_of_condition(fake):
    rules = [
        {"headers": {"X-Team": "research|lab-[0-9]+"}, "use": "lab"},
        {"endpoint": "completion", "use": "completer"},
        {"endpoint": "/v1/messages", "use": "claude"},
        {"tools": True, "use": "tooler"},
        {"matches": r"(?is)\bselect\b.+\bfrom\b", "use": "sql"},
        {"language": ["de", "ja"], "use": "linguist"},
        {"shorter_than": "6B", "use": "tiny"},
    ]
    models = ["lab", "completer", "claude", "tooler", "sql", "linguist", "tiny", "rest"]
    server = fake(dict.fromkeys(models, ""), {"routes": {"auto": {"rules": rules, "fallback": "rest"}}})

    def chosen(text, path="/v1/chat/completions", headers=None, **fields):
        body = {"model": "auto", "prompt": text} if path == "/v1/completions" else asking(text, **fields)
        return answered_by(server.post(path, body, headers=headers or {}))

    assert chosen(CHAT) == "rest"
    assert chosen(CHAT, headers={"x-team": "lab-7"}) == "lab"
    assert chosen(CHAT, headers={"x-team": "sales"}) == "rest"
    assert chosen(CHAT, "/v1/completions") == "completer"
    assert chosen(CHAT, "/v1/messages") == "claude"
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    assert chosen(CHAT, tools=[tool]) == "tooler"
    assert chosen("run Select a, b\nFrom c") == "sql"
    assert chosen("Was ist das und wie schreibt man es?") == "linguist"
    assert chosen("秋の山についての短い詩を書いてください。") == "linguist"
    assert chosen("hi") == "tiny"
    explained = server.post("/v1/route?path=/v1/messages", asking(CHAT)).json()
    assert (explained["models"][0], explained["reason"]) == ("claude", "rule 3")
    stages = [(one["outcome"], one["why"]) for one in explained["stages"]]
    assert stages == [("passed", "rule 1 is not met"), ("passed", "rule 2 is not met"), ("decided", "rule 3")]
    assert "lab-[0-9]+" in explained["stages"][0]["rule"] and "/v1/messages" in explained["stages"][2]["rule"]


def test_no_expression_and_no_text_hang_the_loop(fake):
    rules = [{"matches": "^(a+)+$", "use": "a"}, {"matches": "(.*)*x(.*)*y(.*)*z", "use": "a"}]
    server = fake({"a": "", "b": ""}, {"routes": {"auto": {"rules": rules, "fallback": "b"}}})
    assert server.post("/v1/route", asking("a" * 500_000 + "b")).json()["models"][0] == "b"


def test_mistakes_in_rules_are_told_with_their_line(tmp_path):
    config = tmp_path / "drover.yaml"
    config.write_text(
        "routes:\n  auto:\n    fallback: b\n    rules:\n"
        "      - {matches: '(a', use: b}\n"
        "      - {language: [en, klingon], use: b}\n"
        "      - {endpoint: chats, use: b}\n"
        "      - {headers: {x-a: '*'}, use: b}\n"
        "      - {use: b}\n"
        "      - {matchs: a, use: b}\n"
        "      - {tools: true}\n"
    )
    result = subprocess.run([support.DROVER, "-c", config, "config", "check"], capture_output=True, text=True)
    assert result.returncode == 2
    for line, words in (
        (5, "'(a' is not a regular expression (RE2): missing ): (a"),
        (6, "'klingon' is not a language that is recognised; known are ar, bg"),
        (7, "'chats' is not an endpoint"),
        (8, "'*' is not a regular expression (RE2)"),
        (9, "without a condition"),
        (10, "matchs is not a setting here; did you mean 'matches'?"),
        (11, "use is missing"),
    ):
        assert any(f"drover.yaml:{line}: " in one and words in one for one in result.stderr.splitlines()), (line, result.stderr)


# What an engine may do wrong before it has said anything.
FAULTS = ["status=400", "status=500", "status=503", "status=429", "crash", "exit", "cut", "cut-head", "garbage", "exit-at-start=3"]


@pytest.mark.parametrize("fault", FAULTS)
def test_errors_are_never_worse_than_those_of_the_large_model_alone(fake, fault):
    server = fake({"small": fault, "large": ""}, {"routes": {"auto": {"fallback": ["small", "large"]}}})
    body = asking(CHAT)
    for path in ("/v1/chat/completions", "/v1/messages", "/api/chat"):
        answer = server.post(path, {**body, "stream": False, "options": {"num_predict": 4}})
        assert answered_by(answer) == "large", path
        assert "small " in answer.headers["x-drover-reason"]


def test_an_engines_refusal_is_told_when_all_refuse(fake):
    server = fake({"a": "status=400", "b": "status=422"}, {"routes": {"auto": {"fallback": ["a", "b"]}}})
    answer = server.post("/v1/chat/completions", asking(CHAT))
    assert answer.status_code == 422 and answer.headers["x-drover-model"] == "b"
    assert "a refused: 400" in answer.headers["x-drover-reason"]
    assert answer.json()["error"]["type"] == "invalid_request_error"
    # The connection is of use after it, and what is not a route passes as before.
    assert server.chat("a").status_code == 400


def test_a_refused_stream_goes_to_the_next_model(fake):
    server = fake({"small": "status=500", "large": ""}, {"routes": {"auto": {"fallback": ["small", "large"]}}})
    with server.client.stream("POST", "/v1/chat/completions", json=asking(CHAT, stream=True)) as answer:
        assert answer.headers["x-drover-model"] == "large"
        assert b"[DONE]" in answer.read()


def test_too_long_for_one_goes_to_no_shorter_context(fake):
    config = {"routes": {"auto": {"fallback": ["middle", "short", "same"]}}}
    contexts = {"middle": {"context": 1024}, "short": {"context": 512}, "same": {"context": 1024}}
    server = fake({"middle": "too-long", "short": "", "same": ""}, config, **contexts)
    answer = server.post("/v1/chat/completions", asking(CHAT))
    assert answered_by(answer) == "same"
    assert "middle cannot take so long a request; short takes no longer requests" in answer.headers["x-drover-reason"]
    assert "short" not in server.instances()


def test_too_long_for_one_of_unknown_context_goes_to_the_next(fake):
    servers = {"far": RemoteServer(), "near": RemoteServer()}
    servers["far"].mode = "too-long"
    remotes = {name: {"engine": "remote", "url": one.url, "served_name": "upstream-model"} for name, one in servers.items()}
    server = fake({}, {"routes": {"auto": {"fallback": ["far", "near"]}}}, remotes=remotes)
    for path in ("/v1/chat/completions", "/v1/messages"):
        answer = server.post(path, asking(CHAT))
        assert answered_by(answer) == "near", path
        assert "far cannot take so long a request" in answer.headers["x-drover-reason"]
    for one in servers.values():
        one.stop()


def test_a_guess_at_length_leaves_no_request_without_a_model(fake):
    config = {"routes": {"auto": {"fallback": ["short", "long"]}}}
    server = fake({"short": "", "long": ""}, config, short={"context": 256}, long={"context": 512})
    assert answered_by(server.post("/v1/chat/completions", asking("word " * 10_000))) == "long"


def test_missing_models_are_told_at_the_start_and_by_the_doctor(fake):
    server = fake({"a": ""}, {"routes": {"auto": {"task": {"code": "nobody"}, "fallback": "a"}}})
    assert "route.target_missing" in server.log_file.read_text() and "nobody" in server.log_file.read_text()
    doctor = server.run("-c", str(server.config_file), "doctor")
    assert "route auto" in doctor.stdout and "these models are not there: nobody" in doctor.stdout
    assert answered_by(server.post("/v1/chat/completions", asking(CODE))) == "a"


def test_an_embedding_goes_to_a_model_that_embeds(fake):
    config = {"routes": {"auto": {"fallback": ["talker", "embedder"]}}}
    server = fake({"talker": "", "embedder": ""}, config, embedder={"task": "embedding"})
    assert answered_by(server.post("/v1/embeddings", {"model": "auto", "input": "x"})) == "embedder"
    assert answered_by(server.post("/v1/chat/completions", asking(CHAT))) == "talker"


def test_complexity_chooses_between_two(fake):
    config = {"routes": {
        "all-large": {"complexity": {"small": "small", "large": "large", "budget": "100%"}},
        "all-small": {"complexity": {"small": "small", "large": "large", "budget": 0}},
        "auto": {"complexity": {"small": "small", "large": "large", "quality": "98%"}},
    }}
    server = fake({"small": "", "large": ""}, config)
    decision = server.post("/v1/route", asking(MATH)).json()
    assert decision["stage"] == "complexity"
    assert -1 <= decision["complexity"]["threshold"] <= 1
    assert server.post("/v1/route", asking(MATH, model="all-small")).json()["models"] == ["small", "large"]
    assert server.post("/v1/route", asking(MATH, model="all-large")).json()["models"] == ["large", "small"]


def test_a_resident_model_is_preferred_among_equals(fake):
    config = {"routes": {"auto": {"task": {"code": ["a", "b"], "confidence": 0.4}, "fallback": "a"}}}
    server = fake({"a": "", "b": ""}, config)
    assert server.post("/v1/route", asking(CODE)).json()["models"][0] == "a"
    server.chat("b")
    assert server.post("/v1/route", asking(CODE)).json()["models"][0] == "b"


def test_a_load_is_expected_to_take_what_it_took(fake):
    server = fake({"slow": "load=1500", "quick": ""}, {"routes": {"auto": {"task": {"code": ["slow", "quick"], "confidence": 0.4}, "fallback": "quick"}}})

    def expected():
        return {one["model"]: one["expected_ms"] for one in server.post("/v1/route", asking(CODE)).json()["targets"]}

    assert 0 < expected()["slow"] == expected()["quick"] < 1500, "nobody has seen them load"
    server.chat("slow")
    server.post("/admin/unload", {"model": "slow"})
    assert expected()["slow"] >= 1500
    assert server.post("/v1/route", asking(CODE)).json()["models"][0] == "quick"


def test_a_prompt_is_expected_to_take_what_prompts_took(fake):
    routes = {"auto": {"task": {"code": ["slow", "quick"], "confidence": 0.4}, "fallback": "quick"}}
    server = fake({"slow": "prompt=20", "quick": "prompt=2"}, {"routes": routes})
    text = "def add(a, b): return a + b  # why does this Python function fail? " * 12

    def expected(text):
        return {one["model"]: one["expected_ms"] for one in server.post("/v1/route", asking(text)).json()["targets"]}

    for model in ("slow", "quick"):
        server.chat(model)
    # A token has four bytes.
    support.wait_until(lambda: expected(text) == {"slow": len(text) // 4 * 20, "quick": len(text) // 4 * 2}, what="both speeds")
    assert server.post("/v1/route", asking(text)).json()["models"][0] == "quick"
    assert expected("Hi")["slow"] < 100, "a short prompt takes little"


def test_mistakes_in_routes_are_told_with_their_line(tmp_path):
    config = tmp_path / "drover.yaml"
    config.write_text("routes:\n  auto:\n    task:\n      code: a\n    falback: b\n  x y:\n    complexity: {small: a, quality: 3}\n")
    result = subprocess.run([support.DROVER, "-c", config, "config", "check"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "drover.yaml:5: routes.auto.falback is not a setting here; did you mean 'fallback'?" in result.stderr
    assert "drover.yaml:4: routes.auto.fallback is missing" in result.stderr or "routes.auto.fallback is missing" in result.stderr
    assert "routes.x y a route's name has no spaces" in result.stderr
    assert "routes.x y.complexity.large is missing" in result.stderr
    assert "'3' is not a share" in result.stderr


def test_routes_that_cannot_be_meant_are_told_with_their_line(tmp_path):
    config = tmp_path / "drover.yaml"
    config.write_text(
        "routes:\n  auto:\n    rules:\n"
        "      - {longer_than: 4KiB, shorter_than: 4KiB, use: a}\n"
        "      - {tools: true, use: []}\n"
        "    task:\n"
        "      code: Auto\n"
        "    complexity: {small: a, large: a}\n"
        "    fallback: []\n"
        "  other:\n"
        "    fallback: [a, auto:latest]\n"
    )
    result = subprocess.run([support.DROVER, "-c", config, "config", "check"], capture_output=True, text=True)
    assert result.returncode == 2
    for problem in (
        "drover.yaml:4: routes.auto.rules no text is longer_than and shorter_than that",
        "drover.yaml:5: routes.auto.rules.use names no model",
        "drover.yaml:7: routes.auto.task.code 'Auto' is a route; name a model",
        "drover.yaml:8: routes.auto.complexity has the same model as small and as large",
        "drover.yaml:10: routes.other.fallback 'auto:latest' is a route; name a model",
    ):
        assert f"{problem}\n" in result.stderr, (problem, result.stderr)
    assert len(result.stderr.splitlines()) == 5


def test_what_only_files_and_endpoints_show_is_told_by_every_check(tmp_path):
    config = tmp_path / "drover.yaml"
    (tmp_path / "broken.json").write_text("{}")
    config.write_text(
        "routes:\n  auto:\n    rules:\n"
        "      - {endpoint: /v1/nothing, use: a}\n"
        "    task:\n"
        "      code: a\n"
        "      poetry: a\n"
        "    complexity:\n"
        "      small: a\n"
        "      large: b\n"
        "      embedding: minilm\n"
        "    fallback: a\n"
        "  careful:\n"
        "    task: {code: a, predictor: none.route}\n"
        "    cascade: {models: [a, b], calibration: broken.json}\n"
    )
    problems = (
        "drover.yaml:4: routes.auto.rules.endpoint '/v1/nothing' is no endpoint that names its model in its body",
        "drover.yaml:7: routes.auto.task.poetry is not a label of the predictor; it knows chat, code, math",
        "drover.yaml:11: routes.auto.complexity.embedding the predictor was not trained with any; make one with ",
        f"drover.yaml:14: routes.careful.task.predictor {tmp_path}/none.route: no such file",
        f"drover.yaml:15: routes.careful.cascade.calibration {tmp_path}/broken.json: is no calibration of a cascade",
    )
    for command in (["config", "check"], ["serve", "--check"], ["serve"], ["doctor"]):
        result = subprocess.run([support.DROVER, "-c", config, *command], capture_output=True, text=True, timeout=60)
        assert result.returncode == (1 if command == ["doctor"] else 2), result
        for problem in problems:
            assert problem in result.stdout + result.stderr, (command, problem, result)


ROOT = Path(__file__).parents[2]
EXAMPLES = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted((ROOT / "docs").glob("*.md"))
    for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.M | re.S))
    if block.startswith(("routes:", "models:", "routing:"))
]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_in_the_docs_are_valid(example, tmp_path):
    config = tmp_path / "drover.yaml"
    config.write_text(example)
    result = subprocess.run([support.DROVER, "-c", config, "config", "check"], capture_output=True, text=True)
    # The files that they name are not there.
    problems = [line for line in result.stderr.splitlines() if "no such file" not in line and "does not exist" not in line]
    assert result.returncode in (0, 2) and not problems, result


def test_a_hostile_body_is_answered(by_task):
    deep = '{"model": "auto", "messages": ' + "[" * 200 + "]" * 200 + "}"
    assert by_task.client.post("/v1/chat/completions", content=deep).status_code < 500
    escaped = json.dumps(asking(CODE)).replace('"model"', '"mod\\u0065l"')
    assert answered_by(by_task.client.post("/v1/chat/completions", content=escaped)) == "coder"
    big = asking(CODE + " x" * 3_000_000)
    assert by_task.client.post("/v1/route", json=big, timeout=httpx.Timeout(60)).status_code == 200
