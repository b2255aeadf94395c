-- Does what any number of requests ask, in one call. Each request is a group of limits. To check it is to charge all
-- of them if all admit it, and else none. A group's error is its own. What nearly every request asks, `check.lua` does
-- for less.
--
-- KEYS  one for each limit, in order.
-- ARGV  the number of different quotas, and each of them (see `read_quota`). Then for each group: what to do (check,
--       peek, refund, reset), the number of its limits, and for each: the number of its quota, the cost, for a token
--       bucket the time of the cost, and to refund, the receipt (-1: none).
-- Reply the time; then for each group an error as a string, or (refund and reset) a 1, or four integers for each limit:
--       admitted (1 or 0), and three that say what was counted before the charge. For a sliding window: units left,
--       microseconds until the first leaves (below 0 if it takes a charge and leaves later), microseconds until the cost fits
--       (-1: it does, or never will). For the others: the
--       state, from which the caller works out the rest.
--
-- Making a function costs as much as calling Redis once, and all of this runs with every call: so what a call does not
-- need is made by functions that it does not run.

-- Rules by their kind, made when they are first needed.
local rule_of

-- A rule has: assess(key, q, cost, time) -> whether the cost fits, three numbers for the reply, three for the rule's
-- own later steps; charge(key, q, cost, …) and refuse(key, q, …), which get those three; refund(key, q, cost, at, …),
-- which gets the receipt (-1: none) and the first of those three. All that is read of a key is read by `assess`.

-- The sliding window of small limits, as a sorted set. What a set cannot keep becomes a log: units of several windows, of a
-- time that is later than now, or whose numbers have a gap.
local function make_sorted_set()
  local rule, log = {}, rule_of('l')

  local function stamp_of(member) return tonumber(member:sub(1, -4)) end
  local function number_of(member) return tonumber(member:sub(-3)) end

  function rule.assess(key, q, cost)
    local limit, window = q.limit, q.window
    local found = try('ZRANGE', key, -2, -1)
    -- It has become a log.
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
    -- The unit with whose going the cost fits.
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
      -- Only if there is something to remove: a write here would let the next one past maxmemory.
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

  function rule.refuse(key, q, set)
    if not set or set.body then return log.refuse(key, q, set) end
    mend_ttl(key, q.longest)
  end

  -- Units at either end can go; a gap would be counted.
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
  local admitted = true
  for _, l in ipairs(limits) do
    l.found = { l.q.rule.assess(l.key, l.q, l.cost, l.time) }
    admitted = admitted and (l.found[1] or l.q.shadow)
  end
  return admitted
end

function does.check(limits)
  local admitted = assess(limits)
  for _, l in ipairs(limits) do
    local found, q = l.found, l.q
    if admitted and found[1] and l.cost > 0 then
      q.rule.charge(l.key, q, l.cost, found[5], found[6], found[7])
    elseif not found[1] or found[7] == 'mend' then
      q.rule.refuse(l.key, q, found[5], found[6], found[7])
    end
  end
end

does.peek = assess

function does.refund(limits)
  for _, l in ipairs(limits) do
    -- What is there before anything is taken.
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
    -- Done, and nothing to tell.
    n = n + 1
    replies[n] = 1
  end
end
return replies
