-- The sliding counter. A count: window, beginning, units of the window before, units of this window.
local rule = {}

-- Whether a * b > c * d, also for products that a double cannot hold: seven bits of `a` and `d` are compared at a time. `a`
-- and `d` are below 2^53 (a long window also counts what a short one allows), `b` and `c` below 2^45.
local function product_above(a, b, c, d)
  if a * b < 2 ^ 53 and c * d < 2 ^ 53 then return a * b > c * d end
  local ahead = 0
  for shift = 49, 0, -7 do
    local unit = 2 ^ shift
    ahead = ahead * 128 + floor(a / unit) % 128 * b - floor(d / unit) % 128 * c
    -- The bits to come are worth less than 2^45 units of this place, so a larger difference decides.
    if ahead >= 2 ^ 45 then return true end
    if ahead <= -2 ^ 45 then return false end
  end
  return ahead > 0
end

local function fits(q, cost, previous, current, elapsed)
  local room = q.limit - current - cost
  return cost == 0 or (room >= 0 and not product_above(previous, q.window - elapsed, q.window, room))
end

local function ends(count)
  if count[4] > 0 then return count[2] + 2 * count[1] end
  return count[3] > 0 and count[2] + count[1] or 0
end

-- A count brought to this moment, in windows of that length.
local function at_now(window, start, previous, current)
  -- After a clock stepped back, the window begins again, with its units.
  if start > NOW then start = NOW end
  if NOW - start >= 2 * window or (previous == 0 and current == 0) then return NOW, 0, 0 end
  if NOW - start < window then return start, previous, current end
  if current == 0 then return NOW, 0, 0 end
  return start + window, current, 0
end

local function live(key, text)
  local counts, any = parse(key, text, 0, 4), false
  for _, count in ipairs(counts) do
    count[2], count[3], count[4] = at_now(count[1], count[2], count[3], count[4])
    any = any or count[3] + count[4] > 0
  end
  return any and counts or {}
end

-- The same units in windows of another length. These windows hold no time at which the count had nothing: a receipt from such
-- a time would give back units of others.
local function convert(q, count)
  local window, start, previous, current = count[1], count[2], count[3], count[4]
  if q.window <= window then return at_now(q.window, start, previous, current) end
  -- Longer windows start with the oldest unit.
  if previous > 0 then start = max(0, start - window) end
  if NOW - start < q.window then return start, 0, previous + current end
  -- The units of the current window can be on either side of the new start. They count in full.
  return start + q.window, previous, current
end

-- The count of the quota's window among several. If there is none, the one that counts most after it is converted to windows of
-- that length; of those that count as much, the one that ends last.
local function among(key, q, text)
  local others, own, best = {}, nil, nil
  for _, count in ipairs(live(key, text)) do
    if count[1] == q.window then own = count else others[#others + 1] = count end
    local start, previous, current = convert(q, count)
    local counted = previous * (q.window - (NOW - start)) / q.window + current
    local found = { counted, start, current, previous }
    local i = 1
    while best and i < 3 and found[i] == best[i] do i = i + 1 end
    if counted > 0 and (not best or found[i] > best[i]) then best = found end
  end
  beside[key] = others
  if own then return own[2], own[3], own[4], 'held' end
  if best then return best[2], best[4], best[3], 'new' end
  return NOW, 0, 0, 'held'
end

function rule.assess(key, q, cost)
  local text, start, previous, current, held = call('GET', key), NOW, 0, 0, nil
  beside[key] = nil
  if text then
    local window, a, b, c = text:match('^c(%d+) (%d+) (%d+) (%d+)$')
    if window == q.window_text then
      start = tonumber(a)
      held = start > NOW and 'mend' or 'held'
      start, previous, current = at_now(q.window, start, tonumber(b), tonumber(c))
    else
      start, previous, current, held = among(key, q, text)
    end
  end
  local allows = fits(q, cost, previous, current, NOW - start)
  return allows, previous, current, NOW - start, start, { previous, current }, held
end

function rule.most(q, units, previous, current, elapsed, start, numbers)
  while units > 0 and not fits(q, units, previous, current, elapsed) do
    units = units - 1
  end
  return units, start, numbers
end

local function store(key, q, start, previous, current)
  write(key, 'c', with({ q.window, start, previous, current }, beside[key]), ends)
end

function rule.charge(key, q, cost, start, units)
  local others = beside[key]
  if not others then
    local text = 'c' .. q.window_text .. ' ' .. format('%d %d %d', start, units[1], units[2] + cost)
    call('SET', key, text, 'PX', floor((start + 2 * q.window - NOW) / 1000) + 1000)
    return
  end
  for _, count in ipairs(others) do count[4] = count[4] + cost end
  store(key, q, start, units[1], units[2] + cost)
end

function rule.deny(key, q, start, units, held)
  if held == 'mend' or held == 'new' then
    if units[1] + units[2] > 0 then store(key, q, start, units[1], units[2]) end
  elseif held and not beside[key] then
    mend_ttl(key, q.longest)
  end
end

-- Gives units back to the window in which they were charged (`at`); without that, to the earlier window first.
function rule.refund(key, _, cost, at)
  local text = call('GET', key)
  if not text then return end
  local counts = {}
  for _, count in ipairs(live(key, text)) do
    local start, previous, current = count[2], count[3], count[4]
    if at < 0 then
      count[3] = max(0, previous - cost)
      count[4] = max(0, current - max(0, cost - previous))
    elseif at <= NOW and at >= start then
      count[4] = max(0, current - cost)
    elseif at <= NOW and at >= start - count[1] then
      count[3] = max(0, previous - cost)
    end
    counts[#counts + 1] = count
  end
  write(key, 'c', counts, ends)
end

return rule
