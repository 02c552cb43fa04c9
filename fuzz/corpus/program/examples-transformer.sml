// One layer of a transformer's encoder: torch.nn.TransformerEncoderLayer(64, 4, 256, batch_first=True), its state_dict.
owners clinic, vendor;
fixed(int = 16, frac = 16);

use nn::{LayerNorm, Linear, MultiheadAttention, attention, layer_norm, linear_each, relu};

struct Encoder {
    self_attn: MultiheadAttention[64],
    linear1: Linear[64, 256],
    linear2: Linear[256, 64],
    norm1: LayerNorm[64],
    norm2: LayerNorm[64],
}

/// Attention, then two linear layers, each added to what goes in and normalised.
fn encode[N, T](x: fix[N, T, 64], p: Encoder) -> fix[N, T, 64] {
    let h = layer_norm(x + attention(x, p.self_attn, heads = 4), p.norm1);
    layer_norm(h + (h |> linear_each(p.linear1) |> relu |> linear_each(p.linear2)), p.norm2)
}

entry features[N](
    x: fix[N, 16, 64] from clinic,
    net: Encoder from vendor,
) -> fix[N, 16, 64] to clinic {
    encode(x, net)
}
