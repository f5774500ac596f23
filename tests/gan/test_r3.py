import torch

from ganaug.gan.architecture import build_generator
from ganaug.gan.r3 import group_spread


def test_noise_maps_change_grain_and_not_the_latent_alone(architecture):
    G = build_generator(architecture)
    assert G.latent_dim == 8 + 4 * 8 * 8 + 1  # maps of four channels at 8x8, a mark's number
    for block in G.blocks:  # fresh residuals are zero
        torch.nn.init.normal_(block.conv_out.weight, std=0.1)
    z = torch.randn(1, G.latent_dim).repeat(2, 1)
    z[1, 8:-1] = torch.randn(4 * 8 * 8)
    first, second = G(z, torch.tensor([0, 0]))
    assert (first - second).abs().mean() > 0.001


def test_spread_shows_a_collapsed_group():
    torch.manual_seed(0)
    varied, collapsed = torch.randn(8, 4, 6, 6), torch.randn(1, 4, 6, 6).expand(8, -1, -1, -1)
    spread = group_spread(torch.cat([varied, collapsed]))
    assert spread.shape == (16, 4)
    assert (spread[:8] > 0.5).all()
    assert (spread[8:] < 0.001).all()
    deviation = varied.std(dim=0, unbiased=False).mean(dim=(1, 2))
    assert torch.allclose(spread[0], deviation, atol=1e-5)
