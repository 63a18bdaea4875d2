#include "gateway/metrics.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <sstream>
#include <string_view>
#include <utility>

#include "gateway/error_reply.hpp"

namespace drover::gateway {

namespace {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

std::string escaped(std::string_view value) {
    std::string result;
    for (const char letter : valid_utf8(value)) {
        switch (letter) {
            case '\\':
                result += "\\\\";
                break;
            case '"':
                result += "\\\"";
                break;
            case '\n':
                result += "\\n";
                break;
            default:
                result += letter;
        }
    }
    return result;
}

std::string number(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

/// Collects samples, family by family.
class Exposition {
  public:
    void family(std::string_view name, std::string_view type, std::string_view help) {
        name_ = name;
        text_ << "# HELP " << name << ' ' << help << "\n# TYPE " << name << ' ' << type << '\n';
    }
    template <typename Number>
    void sample(Labels labels, Number value, std::string_view suffix = {}) {
        text_ << name_ << suffix;
        char before = '{';
        for (const auto& [label, content] : labels) {
            text_ << before << label << "=\"" << escaped(content) << '"';
            before = ',';
        }
        text_ << (before == ',' ? "} " : " ") << value << '\n';
    }
    template <typename Number>
    void single(std::string_view name, std::string_view type, std::string_view help, Number value) {
        family(name, type, help);
        sample({}, value);
    }
    std::string take() const { return text_.str(); }

  private:
    std::string_view name_;
    std::ostringstream text_;
};

void add_memory(Exposition& out, const control::FleetView& fleet) {
    out.family("drover_memory_budget_bytes", "gauge", "Memory that engines may take.");
    for (const control::DeviceView& device : fleet.budget) {
        out.sample({{"device", device.device}}, device.bytes.count());
    }
    out.family("drover_memory_held_bytes", "gauge", "Memory that is charged to engines.");
    for (const control::DeviceView& device : fleet.budget) {
        out.sample({{"device", device.device}}, device.held.count());
    }
}

void add_instances(Exposition& out, const control::FleetView& fleet) {
    out.family("drover_instance_bytes", "gauge", "Memory that is charged to an engine.");
    for (const control::InstanceView& one : fleet.instances) {
        out.sample({{"model", one.model}, {"state", one.state}}, one.bytes.count());
    }
    out.family("drover_instance_requests", "gauge", "Requests that an engine serves.");
    for (const control::InstanceView& one : fleet.instances) {
        out.sample({{"model", one.model}}, one.leases);
    }
    out.single(
        "drover_queued_requests", "gauge", "Requests that wait for an engine.", fleet.queued);
}

/// Of the engines that make a batch of their requests, while they are in use.
void add_loads(Exposition& out, const control::FleetView& fleet) {
    const auto loads =
        [&](std::string_view name, std::string_view help, auto engines::EngineLoad::*of) {
            out.family(name, "gauge", help);
            for (const control::InstanceView& one : fleet.instances) {
                if (one.load.has_value()) {
                    out.sample({{"model", one.model}}, *one.load.*of);
                }
            }
        };
    loads("drover_instance_running_requests",
          "Requests that an engine computes together, as it says.",
          &engines::EngineLoad::running);
    loads("drover_instance_waiting_requests",
          "Requests that wait within an engine, as it says.",
          &engines::EngineLoad::waiting);
    loads("drover_instance_cache_used_ratio",
          "Part of an engine's KV cache that is in use, as it says.",
          &engines::EngineLoad::cache_used);
}

void add_remotes(Exposition& out, const control::FleetView& fleet) {
    out.family("drover_remote_requests", "gauge", "Requests that a remote replica serves.");
    for (const control::RemoteView& one : fleet.remotes) {
        out.sample({{"model", one.model}, {"url", one.url}, {"circuit", one.state}}, one.leases);
    }
    out.family(
        "drover_remote_queued_requests", "gauge", "Requests that wait for a replica of a remote.");
    std::string_view last;  // the replicas of a model follow each other
    for (const control::RemoteView& one : fleet.remotes) {
        if (one.model != last) {
            out.sample({{"model", one.model}}, one.queued);
        }
        last = one.model;
    }
}

void add_snapshots(Exposition& out, const control::SnapshotView& kept) {
    out.single("drover_snapshots", "gauge", "Conversations on disk.", kept.count);
    out.single("drover_snapshot_bytes", "gauge", "What they take.", kept.bytes.count());
    out.single("drover_snapshot_budget_bytes", "gauge", "What they may take.", kept.budget.count());
    out.single("drover_snapshots_saved_total", "counter", "Conversations saved.", kept.saved);
    out.single(
        "drover_snapshots_restored_total", "counter", "Conversations brought back.", kept.restored);
    out.single("drover_snapshot_hits_total", "counter", "Of these, gone on with.", kept.hits);
    out.single(
        "drover_snapshot_misses_total", "counter", "Of these, replaced unused.", kept.misses);
    out.single("drover_snapshot_tokens_total",
               "counter",
               "Tokens that were not computed again.",
               kept.tokens_saved);
    out.single("drover_snapshot_seconds_saved_total",
               "counter",
               "What computing them would have taken.",
               static_cast<double>(kept.saved_ms) / 1000);
}

void add_times(Exposition& out, std::string_view model, const TimeHistogram& times) {
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < TimeHistogram::kBounds.size(); ++i) {
        below += times.counts[i];
        out.sample({{"model", model}, {"le", number(TimeHistogram::kBounds[i])}}, below, "_bucket");
    }
    below += times.counts.back();
    out.sample({{"model", model}, {"le", "+Inf"}}, below, "_bucket");
    out.sample({{"model", model}}, times.sum, "_sum");
    out.sample({{"model", model}}, below, "_count");
}

void add_requests(Exposition& out, const RequestCounts& requests) {
    out.family("drover_requests_total",
               "counter",
               "Requests by status; 0: the client left before there was one.");
    for (const auto& [model, counts] : requests.models()) {
        for (const auto& [status, count] : counts.by_status) {
            out.sample({{"model", model}, {"status", std::to_string(status)}}, count);
        }
    }
    const auto times = [&](std::string_view name,
                           std::string_view help,
                           TimeHistogram RequestCounts::OfModel::*of) {
        out.family(name, "histogram", help);
        for (const auto& [model, counts] : requests.models()) {
            if (!model.empty()) {
                add_times(out, model, counts.*of);
            }
        }
    };
    times("drover_request_wait_seconds",
          "From the request to its lease.",
          &RequestCounts::OfModel::wait);
    times("drover_request_first_byte_seconds",
          "From the request to the first byte of the answer.",
          &RequestCounts::OfModel::first_byte);
    times("drover_request_seconds",
          "From the request to the end of the answer.",
          &RequestCounts::OfModel::total);
}

}  // namespace

std::string metrics(const control::FleetView& fleet, const RequestCounts& requests) {
    Exposition out;
    add_memory(out, fleet);
    add_instances(out, fleet);
    add_loads(out, fleet);
    add_remotes(out, fleet);
    add_snapshots(out, fleet.snapshots);
    add_requests(out, requests);
    return out.take();
}

}  // namespace drover::gateway
