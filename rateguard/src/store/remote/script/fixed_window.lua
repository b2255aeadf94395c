-- The fixed window. A count: window, beginning, units.
local rule = {}

local function ends(count) return count[3] > 0 and count[2] + count[1] or 0 end

local function live(key, text)
  local counts, any = parse(key, text, 0, 3), false
  for _, count in ipairs(counts) do
    -- After a clock stepped back, the window begins again, with its units.
    count[2] = min(count[2], NOW)
    if NOW >= ends(count) then count[2], count[3] = NOW, 0 else any = true end
  end
  return any and counts or {}
end

-- The count of the quota's window among several. If there is none, the largest count that began less than a window ago; of
-- equally large ones, the one that began last.
local function among(key, q, text)
  local others, own, most = {}, nil, nil
  for _, count in ipairs(live(key, text)) do
    if count[1] == q.window then own = count else others[#others + 1] = count end
    if NOW - count[2] < q.window then
      if not most or count[3] > most[3] or (count[3] == most[3] and count[2] > most[2]) then most = count end
    end
  end
  beside[key] = others
  if own then return own[2], own[3], 'held' end
  if most and most[3] > 0 then return most[2], most[3], 'new' end
  return NOW, 0, 'held'
end

function rule.assess(key, q, cost)
  local text, start, used, held = call('GET', key), NOW, 0, nil
  beside[key] = nil
  if text then
    local window, a, b = text:match('^f(%d+) (%d+) (%d+)$')
    if window == q.window_text then
      start, used, held = tonumber(a), tonumber(b), 'held'
      if start > NOW then start, held = NOW, 'mend' end
      if NOW - start >= q.window then start, used = NOW, 0 end
    else
      start, used, held = among(key, q, text)
    end
  end
  return cost == 0 or used + cost <= q.limit, used, NOW - start, 0, start, used, held
end

local function store(key, q, start, used)
  local own = { q.window, start, used }
  write(key, 'f', with(own, beside[key]), ends)
end

function rule.charge(key, q, cost, start, used)
  local others = beside[key]
  if not others then
    local text = 'f' .. q.window_text .. ' ' .. format('%d %d', start, used + cost)
    call('SET', key, text, 'PX', floor((start + q.window - NOW) / 1000) + 1000)
    return
  end
  for _, count in ipairs(others) do count[3] = count[3] + cost end
  store(key, q, start, used + cost)
end

-- How many of `units` single units fit, and the arguments to charge them.
function rule.most(q, units, _, _, _, start, used)
  return min(units, q.limit - used), start, used
end

function rule.deny(key, q, start, used, held)
  if held == 'mend' or held == 'new' then
    if used > 0 then store(key, q, start, used) end
  elseif held and not beside[key] then
    mend_ttl(key, floor(q.window / 1000) + 1000)
  end
end

-- Gives units back to the windows that had begun when they were charged (`at`).
function rule.refund(key, _, cost, at)
  local text = call('GET', key)
  if not text then return end
  local counts = {}
  for _, count in ipairs(live(key, text)) do
    if at < 0 or (at >= count[2] and at <= NOW) then count[3] = max(0, count[3] - cost) end
    counts[#counts + 1] = count
  end
  write(key, 'f', counts, ends)
end

return rule
