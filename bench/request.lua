-- One POST for wrk, as the environment says, and the result as JSON on the last line.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = os.getenv("BENCH_BODY")

done = function(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "seconds": %.6f, "p50": %d, "p90": %d, "p99": %d, "mean": %.2f, "errors": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(90),
        latency:percentile(99), latency.mean,
        errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
