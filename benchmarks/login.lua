-- Log in, again and again: wrk … -- USERNAME PASSWORD

function init(arguments)
  local body = '{"username":"' .. arguments[1] .. '","password":"' .. arguments[2] .. '"}'
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  wrk.body = body
end
