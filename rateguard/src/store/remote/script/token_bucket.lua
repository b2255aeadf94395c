-- The token bucket. The number of charged tokens (less those of a latest charge that was given back), and then the counts, one
-- for each rate and burst: limit, window, the time that the whole bucket takes to fill, and when the bucket is full. A time is
-- a pair: microseconds, and a fraction of a microsecond in units of 1 / limit.
local rule = {}
-- By key: the number of charged tokens; and what is missing in a bucket that is written even if it denies.
local charged_of, missing_of = {}, {}

-- The quotient and the remainder of (a * b + c) / d, also for products that a double cannot hold: three bits of `b` at a time.
-- `a` and `d` are below 2^49, `b` and `c` below 2^45.
local function divide(a, b, c, d)
  local quotient, rest = 0, 0
  for shift = 42, 0, -3 do
    rest = rest * 8 + a * (floor(b / 2 ^ shift) % 8)
    quotient, rest = quotient * 8 + floor(rest / d), rest % d
  end
  rest = rest + c
  return quotient + floor(rest / d), rest % d
end

local function less(a, a_fraction, b, b_fraction)
  return a < b or (a == b and a_fraction < b_fraction)
end

local function ends(count) return count[5] + (count[6] > 0 and 1 or 0) end

-- At most the whole bucket can be missing. More would be missing after a clock stepped back, or a larger bucket was charged or
-- converted.
local function cap_debt(count)
  if less(NOW + count[3], count[4], count[5], count[6]) then count[5], count[6] = NOW + count[3], count[4] end
end

local function live(key, text)
  local counts, charged = parse(key, text, 1, 6)
  local any = false
  for _, count in ipairs(counts) do
    cap_debt(count)
    any = any or less(NOW, 0, count[5], count[6])
  end
  return any and counts or {}, charged
end

-- The tokens missing in a bucket of another quota, as time in a bucket of this quota. A part of a token is rounded up.
local function convert(q, count)
  local limit, window = count[1], count[2]
  local tokens, part = divide(count[5] - NOW, limit, count[6], window)
  part = divide(part, q.window, window - 1, window)
  return divide(q.window, tokens, part, q.limit)
end

-- What is missing in the bucket of the quota among several. If there is none, the most that is missing in any.
local function among(key, q, text)
  local others, held, debt, fraction = {}, 'held', 0, 0
  local counts, charged = live(key, text)
  charged_of[key], beside[key] = charged, others
  for _, count in ipairs(counts) do
    local capacity = q.capacity
    if count[1] == q.limit and count[2] == q.window and count[3] == capacity[1] and count[4] == capacity[2] then
      held = 'own'
      if less(NOW, 0, count[5], count[6]) then debt, fraction = count[5] - NOW, count[6] end
    else
      others[#others + 1] = count
    end
  end
  if held == 'own' then return debt, fraction, 'held' end
  for _, count in ipairs(others) do
    if less(NOW, 0, count[5], count[6]) then
      local some, part = convert(q, count)
      if less(debt, fraction, some, part) then debt, fraction, held = some, part, 'new' end
    end
  end
  return debt, fraction, held
end

-- Whether the cost fits in a bucket in which `debt` is missing, and what is missing then.
local function fits(q, cost, cost_fraction, debt, fraction)
  local whole = floor((fraction + cost_fraction) / q.limit)
  local needed, needed_fraction = debt + cost + whole, fraction + cost_fraction - whole * q.limit
  local capacity = q.capacity
  return not less(capacity[1], capacity[2], needed, needed_fraction), needed, needed_fraction
end

function rule.assess(key, q, _, cost_time)
  local capacity = q.capacity
  local text, debt, fraction, held = call('GET', key), 0, 0, nil
  -- The number begins with the time, so that receipts from an earlier life of the key do not match.
  charged_of[key], beside[key] = NOW % 2 ^ 20 * 2 ^ 32, nil
  if text then
    local charged, own, a, b = text:match('^b(%d+) (%d+ %d+ %d+ %d+) (%d+) (%d+)$')
    q.own = q.own or format('%d %d %d %d', q.limit, q.window, capacity[1], capacity[2])
    if own == q.own then
      debt, fraction, held = tonumber(a) - NOW, tonumber(b), 'held'
      charged_of[key] = tonumber(charged)
      if debt < 0 then debt, fraction = 0, 0 end
    else
      debt, fraction, held = among(key, q, text)
    end
  end
  if less(capacity[1], capacity[2], debt, fraction) then
    debt, fraction = capacity[1], capacity[2]
    if held ~= 'new' then held = 'mend' end
  end
  if held ~= 'held' then missing_of[key] = { debt, fraction } end
  local allows, needed, needed_fraction = fits(q, cost_time[1], cost_time[2], debt, fraction)
  return allows, debt, fraction, charged_of[key], needed, needed_fraction, held
end

function rule.most(q, units, debt, fraction)
  for n = units, 1, -1 do
    local allows, needed, needed_fraction = fits(q, n * q.one[1], n * q.one[2], debt, fraction)
    if allows then return n, needed, needed_fraction end
  end
  return 0
end

local function store(key, q, charged, debt, fraction)
  local others = beside[key]
  if others then
    local own = { q.limit, q.window, q.capacity[1], q.capacity[2], NOW + debt, fraction }
    write(key, 'b' .. format('%d', charged), with(own, others), ends)
  else
    local text = format('b%d %d %d %d %d %d %d', charged, q.limit, q.window, q.capacity[1], q.capacity[2], NOW + debt,
      fraction)
    call('SET', key, text, 'PX', floor(debt / 1000) + 1000)
  end
end

function rule.charge(key, q, cost, needed, needed_fraction)
  for _, count in ipairs(beside[key] or {}) do
    local from, part = count[5], count[6]
    if less(from, part, NOW, 0) then from, part = NOW, 0 end
    local debt, fraction = divide(count[2], cost, part, count[1])
    count[5], count[6] = from + debt, fraction
    cap_debt(count)
  end
  store(key, q, charged_of[key] + cost, needed, needed_fraction)
end

function rule.deny(key, q, _, _, held)
  if held == 'mend' or held == 'new' then
    store(key, q, charged_of[key], missing_of[key][1], missing_of[key][2])
  elseif held and not beside[key] then
    mend_ttl(key, floor(q.capacity[1] / 1000) + 1000)
  end
end

-- Gives back the charge after which `at` tokens had been charged; without that, the tokens that come back next. Tokens come
-- back in the order in which they were charged, and those that have already come back cannot be given back.
function rule.refund(key, _, cost, at)
  local text = call('GET', key)
  if not text then return end
  local counts, charged = live(key, text)
  local after = at < 0 and 0 or charged - at
  if #counts == 0 or after < 0 or after >= 2 ^ 45 then return end
  local kept = {}
  for _, count in ipairs(counts) do
    local limit, window = count[1], count[2]
    local debt, fraction = count[5] - NOW, count[6]
    local back, back_fraction = divide(window, cost, 0, limit)
    local left, left_fraction = debt - back, fraction - back_fraction
    if left_fraction < 0 then left, left_fraction = left - 1, left_fraction + limit end
    local least, least_fraction = divide(window, after, 0, limit)
    if less(left, left_fraction, least, least_fraction) then left, left_fraction = least, least_fraction end
    if less(left, left_fraction, debt, fraction) then debt, fraction = left, left_fraction end
    count[5], count[6] = NOW + debt, fraction
    kept[#kept + 1] = count
  end
  if at == charged then charged = max(0, charged - cost) end
  write(key, 'b' .. format('%d', charged), kept, ends)
end

return rule
