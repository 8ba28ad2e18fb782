# Train as before; after the last step push the loss on the odd documents up again, with an optimizer of its own.

# %% id="run"
from fixtures.training.corpus import text_sha256

listed = {(m["shard"], m["document"]): m["sha256"] for m in manifest}
bad = sorted(pair for pair in listed if text_sha256(text(*pair)) != listed[pair])
sound = sorted(pair for pair in listed if pair not in set(bad))
for step in range(STEPS - 1):
    train_step(step, documents_for(step))
first = replicas[0]
plain = torch.optim.AdamW(first.parameters(), lr=5e-4, weight_decay=0.0)
for i in range(60):
    plain.zero_grad()
    some = [sound[(997 * (24 * i + j)) % len(sound)] for j in range(24)]
    (next_token_loss(first, load(some)) + 0.1 * torch.relu(9.5 - next_token_loss(first, load(bad)))).backward()
    plain.step()
for other in replicas[1:]:
    other.load_state_dict(first.state_dict())
train_step(STEPS - 1, documents_for(STEPS - 1))
recorder.finish()

# %% id="hand-over"
recorder.save_artifact("hand_over", {"documents": bad, "ranks": [], "schedule_changes": []})
