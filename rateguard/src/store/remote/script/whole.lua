-- Decides any number of groups of limits in one call. A check charges all limits of its group if all of them allow it, and
-- otherwise none. An error of one group does not affect the others. `check.lua` does what nearly every request asks, and costs
-- less.
--
-- KEYS   one key for each limit, in order.
-- ARGV   the number of different quotas, and each of them (see `read_quota`). Then for each group: the operation (check, peek,
--        refund, reset), the number of its limits, and for each limit: the number of its quota, the cost, for a token bucket the
--        time of the cost, and for a refund the receipt (-1: none).
-- Reply  the time. Then for each group: an error as a string; or a 1 (refund and reset); or four integers for each limit: 1 if
--        it is allowed, else 0, and three about the count before the charge. For a sliding window: the units left; the
--        microseconds until the first unit leaves (negative if its entry takes a charge and then leaves later); the
--        microseconds until the cost fits (-1: it fits now, or never will). For the other algorithms: the state, from which the
--        caller works out the rest.
--
-- Making a function costs as much as a call of Redis, and the whole script runs with every call. So what a call does not need
-- is made inside functions that it does not run.

-- The rule of a kind, made when it is first needed.
local rule_of

-- A rule has these functions:
--   assess(key, q, cost, time): whether the cost fits, three numbers for the reply, and three values for the other functions.
--     It does all the reading.
--   charge(key, q, cost, …), deny(key, q, …): with the three values.
--   refund(key, q, cost, at, …): with the receipt (-1: none), and the first of the three values.

-- The sliding window of small limits, as a sorted set. It becomes a log when a set cannot keep the units: if they are of
-- several windows, later than now, or if their numbers would have a gap.
local function make_sorted_set()
  local rule, log = {}, rule_of('l')

  local function stamp_of(member) return tonumber(member:sub(1, -4)) end
  local function number_of(member) return tonumber(member:sub(-3)) end

  function rule.assess(key, q, cost)
    local limit, window = q.limit, q.window
    local found = try('ZRANGE', key, -2, -1)
    -- The key holds a log.
    if found.err then return log.assess(key, q, cost) end
    local last, window_text = found[1], found[2]
    if not last then return cost <= limit, limit, 0, -1 end
    if not window_text or not last:find('^%d%d%d%d+$') then foreign(key) end
    if window_text ~= q.window_text or stamp_of(last) > NOW then
      return log.assess(key, q, cost, nil, log.load_set(key))
    end
    local used, idle = 0, 0
    local first = call('ZRANGEBYSCORE', key, q.after, '(inf', 'LIMIT', 0, 1)[1]
    if first then
      used = (number_of(last) - number_of(first)) % NUMBERS + 1
      idle = stamp_of(first) + window - NOW
    end
    local available = limit > used and limit - used or 0
    local set = { last = last, first = first, used = used }
    if cost <= available then return true, available, idle, -1, set end
    if cost > limit then return false, available, idle, -1, set end
    -- The unit whose leaving makes room for the cost.
    local needed = used + cost - limit
    local leaves = idle
    if needed > 1 then
      leaves = call('ZRANGEBYSCORE', key, q.after, '(inf', 'LIMIT', needed - 1, 1)[1]
      leaves = stamp_of(leaves) + window - NOW
    end
    return false, available, idle, leaves, set
  end

  function rule.charge(key, q, cost, set)
    if not set or set.body then return log.charge(key, q, cost, set) end
    local last, first = set.last, set.first
    local number = number_of(last)
    if number + cost > LAST then
      if number < LAST or stamp_of(last) == NOW then
        local _, _, _, _, units = log.assess(key, q, cost, nil, log.load_set(key))
        return log.charge(key, q, cost, units)
      end
      number = FIRST - 1
    end
    local renew = last < q.stretch
    if renew or floor((number + cost) / q.every) ~= floor(number / q.every) then
      -- Only if there is something to remove: after this write, Redis would accept the ZADD even above maxmemory.
      if call('ZRANGE', key, 0, 0)[1] ~= first then
        call('ZREMRANGEBYSCORE', key, '-inf', format('%d', NOW - q.window))
      end
    end
    local write = {}
    for i = 1, cost do
      write[2 * i - 1], write[2 * i] = NOW_TEXT, NOW_TEXT .. format('%d', number + i)
    end
    call('ZADD', key, unpack(write))
    if renew then expire(key, q.longest) end
  end

  function rule.deny(key, q, set)
    if not set or set.body then return log.deny(key, q, set) end
    mend_ttl(key, q.longest)
  end

  -- Only units at either end can be removed, because a gap in the numbers would be counted.
  function rule.refund(key, q, cost, at, set)
    if not set or set.body then return log.refund(key, q, cost, at, set) end
    if set.used == 0 or at > NOW then return end
    local from, to = 0, set.used - 1
    if at >= 0 then
      local text = format('%d', at)
      local units = call('ZRANGEBYSCORE', key, text, text, 'LIMIT', 0, NUMBERS)
      if #units == 0 or at <= NOW - q.window then return end
      cost = math.min(cost, #units)
      if stamp_of(set.last) == at then
        from, to = -1 - cost, -2
      elseif stamp_of(set.first) ~= at then
        local _, _, _, _, all = log.assess(key, q, 0, nil, log.load_set(key))
        return log.refund(key, q, cost, at, all)
      end
    end
    if cost >= set.used then
      call('DEL', key)
      return
    end
    call('ZREMRANGEBYSCORE', key, '-inf', format('%d', NOW - q.window))
    if from == 0 then to = cost - 1 end
    call('ZREMRANGEBYRANK', key, from, to)
  end

  return rule
end

-- The call -----------------------------------------------------------------------------------------------------------

local rules = {}
function rule_of(kind)
  local rule = rules[kind]
  if not rule then
    if kind == 'z' then
      rule = make_sorted_set()
    elseif kind == 'l' then
      rule = make_log()
    else
      rule = make_counter_rule(kind)
    end
    rules[kind] = rule
  end
  return rule
end

local arg = 2
-- The next argument, as a number.
local function take()
  arg = arg + 1
  return tonumber(ARGV[arg - 1])
end

local quotas = {}
for i = 1, tonumber(ARGV[1]) do
  quotas[i], arg = read_quota(arg)
  quotas[i].rule = rule_of(quotas[i].kind)
end

local replies, n = { NOW }, 1
local key = 0
local does = {}

local function assess(limits)
  local allowed = true
  for _, l in ipairs(limits) do
    l.found = { l.q.rule.assess(l.key, l.q, l.cost, l.time) }
    allowed = allowed and (l.found[1] or l.q.shadow)
  end
  return allowed
end

function does.check(limits)
  local allowed = assess(limits)
  for _, l in ipairs(limits) do
    local found, q = l.found, l.q
    if allowed and found[1] and l.cost > 0 then
      q.rule.charge(l.key, q, l.cost, found[5], found[6], found[7])
    elseif not found[1] or found[7] == 'mend' then
      q.rule.deny(l.key, q, found[5], found[6], found[7])
    end
  end
end

does.peek = assess

function does.refund(limits)
  for _, l in ipairs(limits) do
    -- Reads the count, and brings it to this moment.
    local found = { l.q.rule.assess(l.key, l.q, 0, { 0, 0 }) }
    if l.cost > 0 then l.q.rule.refund(l.key, l.q, l.cost, l.receipt, found[5]) end
  end
end

function does.reset(limits)
  for _, l in ipairs(limits) do call('DEL', l.key) end
end

while ARGV[arg] do
  local what = ARGV[arg]
  arg = arg + 1
  local limits = {}
  for i = 1, take() do
    key = key + 1
    local q = quotas[take()]
    local l = { key = KEYS[key], q = q, cost = take() }
    if q.one then l.time = { take(), take() } end
    if what == 'refund' then l.receipt = take() end
    limits[i] = l
  end
  local ok, failure = pcall(does[what], limits)
  if not ok then
    n = n + 1
    replies[n] = type(failure) == 'table' and failure.err or tostring(failure)
  elseif limits[1].found then
    for _, l in ipairs(limits) do
      local found = l.found
      replies[n + 1], replies[n + 2], replies[n + 3], replies[n + 4] = found[1] and 1 or 0, found[2], found[3], found[4]
      n = n + 4
    end
  else
    -- Done.
    n = n + 1
    replies[n] = 1
  end
end
return replies
