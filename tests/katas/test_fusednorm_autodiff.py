import pytest
import torch
from autodiff import hessian_vector_product, kept_bytes


class Square(torch.autograd.Function):
    """Keeps its input, and whatever `also` makes of it."""

    also = staticmethod(lambda ctx, x: None)

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        Square.also(ctx, x)
        return x * x

    @staticmethod
    def backward(ctx, dy):
        return 2 * dy * ctx.saved_tensors[0]


def row(**kwargs):
    return torch.randn(1000, requires_grad=True, **kwargs)


def test_an_input_that_is_saved_counts_once():
    assert kept_bytes(lambda x: x * x, row()) == 4000


def test_an_input_that_nobody_saves_does_not_count():
    assert kept_bytes(lambda x: 3 * x, row()) == 0


def test_an_output_that_is_saved_counts():
    assert kept_bytes(torch.exp, row()) == 4000


def test_intermediate_values_count():
    assert kept_bytes(lambda x: torch.exp(x) * x, row()) == 8000


def test_nothing_is_kept_without_grad():
    assert kept_bytes(lambda x: x * x, torch.randn(1000)) == 0


def test_a_float64_row_counts_twice_a_float32_row():
    assert kept_bytes(lambda x: x * x, row(dtype=torch.float64)) == 8000


@pytest.mark.parametrize("place", ["attribute", "closure"])
def test_a_tensor_hidden_from_save_for_backward_counts(place, monkeypatch):
    drawer = []

    def hide(ctx, x):
        if place == "attribute":
            ctx.hidden = x + 1
        else:
            drawer.append(x + 1)

    monkeypatch.setattr(Square, "also", staticmethod(hide))

    assert kept_bytes(Square.apply, row()) == 8000


def test_a_checkpoint_keeps_its_input_alone():
    from torch.utils.checkpoint import checkpoint

    def forward(x):
        return checkpoint(lambda z: torch.exp(z).sin(), x, use_reentrant=False, preserve_rng_state=False)

    assert kept_bytes(forward, row()) == 4000


def test_what_a_hook_packs_counts_with_the_bytes_it_packs():
    from torch.autograd.graph import saved_tensors_hooks

    def forward(x):
        with saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
            return torch.exp(x)

    assert kept_bytes(forward, row()) == 2000


def test_a_product_with_the_hessian_is_that_of_the_written_out_one():
    a, b = torch.randn(2, 3, dtype=torch.float64)
    x, y = a.clone().requires_grad_(), b.clone().requires_grad_()

    products = hessian_vector_product((x**3).sum() + (x * y).sum(), [x, y], [torch.ones_like(a), 2 * torch.ones_like(b)])

    assert torch.allclose(products[0], 6 * a + 2)
    assert torch.allclose(products[1], torch.ones_like(b))


def test_a_parameter_without_curvature_has_a_product_of_zero():
    x, y = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)

    products = hessian_vector_product((x**2).sum() + y.sum(), [x, y], [torch.ones(3), torch.ones(3)])

    assert products[1].tolist() == [0, 0, 0]
