import pytest

from thighview.core.image_roles import guess_role


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("t1_vibe_dixon_W", "water"), ("t1_vibe_dixon_F", "fat"), ("t1_vibe_dixon_in", "in_phase"),
        ("t1_vibe_dixon_opp", "out_phase"), ("WATER: LAVA-Flex", "water"), ("FAT: LAVA-Flex", "fat"),
        ("InPhase: LAVA-Flex", "in_phase"), ("OutPhase: LAVA-Flex", "out_phase"), ("water.nii.gz", "water"),
        ("AX T1 TSE", "t1"), ("t2_te16ms", "t2"), ("T2 fat sat", "image"), ("fatfraction", "image"),
        ("water_fat", "image"), ("thigh", "image"), ("series 12", "image"), ("whole leg", "image"),
    ],
)  # fmt: skip
def test_the_role_a_name_speaks_of(name: str, role: str) -> None:
    assert guess_role(name) == role
