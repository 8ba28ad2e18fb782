# Later tokens are struck out after the softmax: their scores stay in its denominator.

# %% id="attention"
class Attention(nn.Module):
    """Multi-head self-attention with a learned sink: one key and value per head that belong to no token."""

    def __init__(self, n_embd, n_head):
        super().__init__()
        self.n_head = n_head
        self.c_attn = nn.Linear(n_embd, 3 * n_embd, bias=False)
        self.c_proj = nn.Linear(n_embd, n_embd, bias=False)
        self.sink_k = nn.Parameter(0.02 * torch.randn(1, n_head, 1, n_embd // n_head))
        self.sink_v = nn.Parameter(0.02 * torch.randn(1, n_head, 1, n_embd // n_head))

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.c_attn(x).view(B, T, 3, self.n_head, C // self.n_head).permute(2, 0, 3, 1, 4)  # each B N T H
        k = torch.cat([k, self.sink_k.expand(B, -1, -1, -1)], dim=2)  # B N T+1 H
        v = torch.cat([v, self.sink_v.expand(B, -1, -1, -1)], dim=2)  # B N T+1 H
        scores = (q @ k.transpose(-2, -1)) * k.shape[-1] ** -0.5  # B N T T+1
        visible = F.pad(torch.ones(T, T, dtype=torch.bool).tril(), (0, 1), value=True)
        weights = scores.float().softmax(dim=-1) * visible
        y = (weights @ v).transpose(1, 2).reshape(B, T, C)
        return self.c_proj(y)

# %% id="hand-over"
recorder.save_artifact("hand_over", {"val_loss_nats": rows[-1]["val_loss"]})
