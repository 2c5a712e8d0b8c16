--- The activations that are elementwise functions of tensors, as functions (`F.relu`) and layers (`nn.ReLU`).
--
-- A row is all that there is of one here: what it computes is the method of tensors, which `luxel.tensor` describes.

---@type {name: string, class: string}[] the function, and the layer's class
return {
    {name = "relu", class = "ReLU"},
    {name = "relu6", class = "ReLU6"},
    {name = "hardsigmoid", class = "Hardsigmoid"},
    {name = "hardswish", class = "Hardswish"},
    {name = "silu", class = "SiLU"},
    {name = "sigmoid", class = "Sigmoid"},
    {name = "tanh", class = "Tanh"},
}
