-- The script for wrk: sends GET requests that rotate through the values of one header, and prints the result on one line.
-- The argument after `--` is the number of values.

local threads = 0

function setup(thread)
  thread:set("first", threads * 5003)
  threads = threads + 1
end

function init(args)
  keys = tonumber(args[1])
  next_one = first % keys
  requests = {}
  for key = 0, keys - 1 do
    requests[key] = wrk.format("GET", nil, { ["x-api-key"] = string.format("key-%08d", key) })
  end
end

function request()
  next_one = (next_one + 1) % keys
  return requests[next_one]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format("result %d %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
