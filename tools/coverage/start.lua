-- What LUA_INIT runs in each process of `make coverage`: it sets the hook that notes lines (lines.c), and does so again
-- after a spec has set one of its own and taken it away.
local folder = os.getenv("LUXEL_COVERAGE")
local watch = assert(package.loadlib(folder .. "/lines.so", "luaopen_lines"))
local sethook = debug.sethook
watch()
debug.sethook = function(...) -- luacheck: ignore 122
    sethook(...)
    if select("#", ...) == 0 then watch() end
end
