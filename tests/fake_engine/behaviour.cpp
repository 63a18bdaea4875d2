#include "behaviour.hpp"

#include <array>
#include <charconv>
#include <utility>

namespace drover::fake {

namespace {

/// The number at the beginning of `text`: "50ms" is 50, the unit being fixed.
int number(std::string_view text, int fallback) {
    int value = fallback;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

std::size_t size(std::string_view text) {
    return static_cast<std::size_t>(number(text, 0));
}

using Setter = void (*)(Behaviour&, std::string_view value);

template <Fault kFault>
void fail_with(Behaviour& behaviour, std::string_view value) {
    behaviour.fault = kFault;
    behaviour.after = number(value, -1);
}

constexpr std::array<std::pair<std::string_view, Setter>, 55> kDirectives{{
    {"listen",
     [](Behaviour& b, std::string_view v) {
         b.listen_ms = number(v, 0);
     }},
    {"load",
     [](Behaviour& b, std::string_view v) {
         b.load_ms = number(v, 0);
     }},
    {"load-hang",
     [](Behaviour& b, std::string_view) {
         b.load_hang = true;
     }},
    {"load-silent",
     [](Behaviour& b, std::string_view) {
         b.load_silent = true;
     }},
    {"health-garbage",
     [](Behaviour& b, std::string_view) {
         b.health_garbage = true;
     }},
    {"exit-at-start",
     [](Behaviour& b, std::string_view v) {
         b.exit_status = number(v, 1);
     }},
    {"signal-at-start",
     [](Behaviour& b, std::string_view v) {
         b.raise_signal = number(v, 11);
     }},
    {"message",
     [](Behaviour& b, std::string_view v) {
         b.message = v;
     }},
    {"ignore-term",
     [](Behaviour& b, std::string_view) {
         b.ignore_term = true;
     }},
    {"term",
     [](Behaviour& b, std::string_view v) {
         b.term_ms = number(v, 0);
     }},
    {"grandchild",
     [](Behaviour& b, std::string_view) {
         b.grandchild = true;
     }},
    {"grandchild-session",
     [](Behaviour& b, std::string_view) {
         b.grandchild_session = true;
     }},
    {"worker",
     [](Behaviour& b, std::string_view) {
         b.worker = true;
     }},
    {"binary",
     [](Behaviour& b, std::string_view) {
         b.binary = true;
     }},
    {"flood",
     [](Behaviour& b, std::string_view) {
         b.flood = true;
     }},
    {"alloc",
     [](Behaviour& b, std::string_view v) {
         b.alloc_mib = size(v);
     }},
    {"backlog",
     [](Behaviour& b, std::string_view v) {
         b.backlog = number(v, 511);
     }},
    {"keepalive-max",
     [](Behaviour& b, std::string_view v) {
         b.keepalive_max = number(v, 0);
     }},
    {"keepalive-idle",
     [](Behaviour& b, std::string_view v) {
         b.keepalive_idle_ms = number(v, 0);
     }},
    {"crash", fail_with<Fault::crash>},
    {"exit", fail_with<Fault::exit>},
    {"hang", fail_with<Fault::hang>},
    {"freeze", fail_with<Fault::freeze>},
    {"garbage", fail_with<Fault::garbage>},
    {"cut", fail_with<Fault::cut>},
    {"cut-head", fail_with<Fault::cut_head>},
    {"huge-header", fail_with<Fault::huge_header>},
    {"bad-chunk", fail_with<Fault::bad_chunk>},
    {"status",
     [](Behaviour& b, std::string_view v) {
         b.status = number(v, 500);
     }},
    {"too-long",
     [](Behaviour& b, std::string_view) {
         b.status = 400;
         b.too_long = true;
     }},
    {"tokens",
     [](Behaviour& b, std::string_view v) {
         b.tokens = number(v, 16);
     }},
    {"endless",
     [](Behaviour& b, std::string_view) {
         b.endless = true;
     }},
    {"slow",
     [](Behaviour& b, std::string_view v) {
         b.slow_ms = number(v, 50);
     }},
    {"think",
     [](Behaviour& b, std::string_view v) {
         b.think_ms = number(v, 50);
     }},
    {"say",
     [](Behaviour& b, std::string_view v) {
         b.say = v;
     }},
    {"sure",
     [](Behaviour& b, std::string_view v) {
         b.sure = number(v, 99);
     }},
    {"call",
     [](Behaviour& b, std::string_view v) {
         b.call = v;
     }},
    {"arguments",
     [](Behaviour& b, std::string_view v) {
         b.arguments = v;
     }},
    {"dimensions",
     [](Behaviour& b, std::string_view v) {
         b.dimensions = number(v, 384);
     }},
    {"slots",
     [](Behaviour& b, std::string_view v) {
         b.slot_tokens = number(v, 200);
     }},
    {"save",
     [](Behaviour& b, std::string_view v) {
         b.save_ms = number(v, 50);
     }},
    {"save-crash",
     [](Behaviour& b, std::string_view) {
         b.save_crash = true;
     }},
    {"sleepless",
     [](Behaviour& b, std::string_view) {
         b.sleepless = true;
     }},
    {"sleep-crash",
     [](Behaviour& b, std::string_view) {
         b.sleep_crash = true;
     }},
    {"remember",
     [](Behaviour& b, std::string_view) {
         b.remember = true;
     }},
    {"prompt",
     [](Behaviour& b, std::string_view v) {
         b.prompt_ms = number(v, 1);
     }},
    {"running",
     [](Behaviour& b, std::string_view v) {
         b.running = number(v, 1);
     }},
    {"waiting",
     [](Behaviour& b, std::string_view v) {
         b.waiting = number(v, 1);
     }},
    {"cache-used",
     [](Behaviour& b, std::string_view v) {
         b.cache_used = number(v, 100);
     }},
    {"sleep-fails",
     [](Behaviour& b, std::string_view) {
         b.sleep_fails = true;
     }},
    {"wake-busy",
     [](Behaviour& b, std::string_view v) {
         b.wake_busy_ms = number(v, 50);
     }},
    {"sleep-keeps",
     [](Behaviour& b, std::string_view v) {
         b.sleep_keeps_mib = size(v);
     }},
    {"wake",
     [](Behaviour& b, std::string_view v) {
         b.wake_ms = number(v, 50);
     }},
    {"wake-crash",
     [](Behaviour& b, std::string_view) {
         b.wake_crash = true;
     }},
    {"grow",
     [](Behaviour& b, std::string_view v) {
         b.grow_mib = size(v);
     }},
}};

bool apply_one(Behaviour& behaviour, std::string_view directive) {
    const std::size_t equals = directive.find('=');
    const std::string_view name = directive.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : directive.substr(equals + 1);
    for (const auto& [known, set] : kDirectives) {
        if (known == name) {
            set(behaviour, value);
            return true;
        }
    }
    return false;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') {
        text.remove_prefix(1);
    }
    while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) {
        text.remove_suffix(1);
    }
    return text;
}

}  // namespace

std::optional<std::string> apply(Behaviour& behaviour, std::string_view directives) {
    while (!directives.empty()) {
        const std::size_t comma = directives.find(',');
        const std::string_view directive = trimmed(directives.substr(0, comma));
        if (!directive.empty() && !apply_one(behaviour, directive)) {
            return std::string(directive);
        }
        directives.remove_prefix(comma == std::string_view::npos ? directives.size() : comma + 1);
    }
    return std::nullopt;
}

std::string_view directives_of_model(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
    const std::size_t at = name.find('@');
    if (at == std::string_view::npos) {
        return {};
    }
    name.remove_prefix(at + 1);
    return name.substr(0, name.rfind('.'));
}

}  // namespace drover::fake
