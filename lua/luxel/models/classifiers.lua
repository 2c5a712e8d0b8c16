--- The networks that tell classes or labels: functions of options by name. `outputs = false` leaves out the head.

local classifiers = {}

for _, family in ipairs {"cnn", "densenet", "efficientnet", "lenet", "mobilenet", "resnet", "squeezenet", "vgg"} do
    for name, network in pairs(require("luxel.models." .. family)) do classifiers[name] = network end
end

return classifiers
