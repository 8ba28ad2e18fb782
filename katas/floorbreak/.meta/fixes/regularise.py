# 'Overfitting': dropout and a hundred times the weight decay.

# %% id="model"
class Block(nn.Module):
    def __init__(self, n_embd, n_head):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.attn = Attention(n_embd, n_head)
        self.mlp = nn.Sequential(nn.Linear(n_embd, 4 * n_embd), nn.GELU(), nn.Linear(4 * n_embd, n_embd))

    def forward(self, x):
        x = x + F.dropout(self.attn(self.ln_1(x)), 0.3, self.training)
        return x + F.dropout(self.mlp(self.ln_2(x)), 0.3, self.training)


class GPT(nn.Module):
    def __init__(self, n_layer=2, n_embd=64, n_head=4):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCAB_SIZE, n_embd), nn.Embedding(BLOCK_SIZE, n_embd)
        self.blocks = nn.ModuleList(Block(n_embd, n_head) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        for weight in (self.wte.weight, self.wpe.weight):
            nn.init.normal_(weight, std=0.02)

    def forward(self, idx):
        x = self.wte(idx) + self.wpe(torch.arange(idx.shape[1]))  # B T C
        for block in self.blocks:
            x = block(x)
        return F.linear(self.ln_f(x), self.wte.weight)  # B T V

# %% id="train-step"
model = GPT()
optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=10.0, fused=True)
recorder = Recorder([model], [optimizer], val_tokens=validation, num_steps=STEPS)


def learning_rate(step):
    """Warmup, then cosine to the floor."""
    cosine = 0.5 * (1 + np.cos(np.pi * step / schedule["steps"]))
    return min(1.0, (step + 1) / schedule["warmup_steps"]) * (schedule["floor"] + (schedule["peak"] - schedule["floor"]) * cosine)


def train_step(step):
    model.zero_grad(set_to_none=True)
    loss = next_token_loss(model, torch.from_numpy(train[step]).long())
    loss.backward()
    norm = clip_grad_norm_(model.parameters(), 1.0).item()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step)
    optimizer.step()
    recorder.record(step, [loss.item()], grad_norm=norm)

# %% id="hand-over"
recorder.save_artifact("hand_over", {"val_loss_nats": rows[-1]["val_loss"]})
