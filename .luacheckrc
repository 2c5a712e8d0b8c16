std = "lua54"
max_line_length = 120
ignore = {"581"} -- `not (x > y)` is how NaN is caught
files["spec"] = {std = "+busted"}
