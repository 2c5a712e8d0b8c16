std = "lua54"
max_line_length = 120
ignore = {"581"} -- `not (x > y)` is how NaN is caught
exclude_files = {"tools/luals/luxel.lua"} -- declarations: functions without bodies
files["spec"] = {std = "+busted"}
