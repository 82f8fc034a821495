-- Each thread of wrk is one client with one connection and one session: it sends the refresh
-- token that the last answer gave it. The first ones are lines of a file: wrk … -- FILE

local threads = 0

function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init(arguments)
  local line = 0
  for token in io.lines(arguments[1]) do
    line = line + 1
    if line == number then refresh_token = token end
  end
end

function request()
  local body = '{"refresh_token":"' .. refresh_token .. '"}'
  return wrk.format("POST", nil, { ["Content-Type"] = "application/json" }, body)
end

function response(status, headers, body)
  if status == 200 then
    refresh_token = body:match('"refresh_token":"([^"]+)"')
  end
end
