use super::*;
use std::collections::BTreeMap;

/// RFC 6962, section 2.1, word for word.
fn naive_root(leaves: &[Vec<u8>]) -> Digest {
    match leaves {
        [] => empty_root(),
        [leaf] => leaf_hash(leaf),
        _ => {
            let middle = leaves.len().next_power_of_two() / 2;
            node_hash(&naive_root(&leaves[..middle]), &naive_root(&leaves[middle..]))
        }
    }
}

/// RFC 6962, section 2.1.1, word for word.
fn naive_path(index: usize, leaves: &[Vec<u8>]) -> Vec<Digest> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut path, other) = match index < middle {
        true => (naive_path(index, left), right),
        false => (naive_path(index - middle, right), left),
    };
    path.push(naive_root(other));
    path
}

/// RFC 6962, section 2.1.2, word for word.
fn naive_consistency(old: usize, leaves: &[Vec<u8>], whole: bool) -> Vec<Digest> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let middle = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(middle);
    let (mut path, other) = match old <= middle {
        true => (naive_consistency(old, left, whole), right),
        false => (naive_consistency(old - middle, right, false), left),
    };
    path.push(naive_root(other));
    path
}

fn leaves(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|index| format!("leaf {index}").into_bytes()).collect()
}

struct Tree {
    frontier: Frontier,
    nodes: BTreeMap<Node, Digest>,
}

impl Tree {
    fn of(leaves: &[Vec<u8>]) -> Self {
        let mut tree = Tree { frontier: Frontier::default(), nodes: BTreeMap::new() };
        for leaf in leaves {
            tree.frontier.push(leaf_hash(leaf), |node, hash| {
                assert_eq!(tree.nodes.insert(node, hash), None, "a node is completed once");
            });
        }
        tree
    }

    fn get(&self, node: Node) -> Result<Digest, Node> {
        self.nodes.get(&node).copied().ok_or(node)
    }

    fn root_at(&self, size: u64) -> Digest {
        let peaks = Frontier::nodes(size).into_iter().map(|node| self.get(node).unwrap()).collect();
        Frontier::from_peaks(size, peaks).unwrap().root()
    }
}

/// Every way to damage a list of hashes by one step.
fn damaged(proof: &[Digest]) -> Vec<Vec<Digest>> {
    let mut all = vec![[proof, &[Digest([0; 32])]].concat()];
    for at in 0..proof.len() {
        let mut flipped = proof.to_vec();
        flipped[at].0[at % 32] ^= 1 << (at % 8);
        let mut short = proof.to_vec();
        let removed = short.remove(at);
        let mut long = proof.to_vec();
        long.insert(at, removed);
        all.extend([flipped, short, long]);
        if at + 1 < proof.len() {
            let mut swapped = proof.to_vec();
            swapped.swap(at, at + 1);
            all.push(swapped);
        }
    }
    all
}

const SIZE_MAX: usize = 130;

#[test]
fn roots_are_those_of_the_published_certificate_transparency_tree() {
    let leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    let leaves: Vec<Vec<u8>> = leaves.iter().map(|leaf| hex::decode(leaf).unwrap()).collect();
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    for (count, root) in (1..).zip(roots) {
        assert_eq!(root_of(leaves[..count].iter().map(Vec::as_slice)).to_string(), root);
    }
    assert_eq!(empty_root().to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn roots_agree_with_the_reference_for_every_size() {
    let leaves = leaves(SIZE_MAX);
    let tree = Tree::of(&leaves);
    for size in 0..=SIZE_MAX {
        let root = naive_root(&leaves[..size]);
        assert_eq!(root_of(leaves[..size].iter().map(Vec::as_slice)), root, "{size}");
        assert_eq!(tree.root_at(size as u64), root, "{size}");
    }
}

#[test]
fn inclusion_proofs_agree_with_the_reference_and_verify() {
    let leaves = leaves(SIZE_MAX);
    let tree = Tree::of(&leaves);
    for size in 1..=SIZE_MAX {
        let root = tree.root_at(size as u64);
        for (index, leaf) in leaves[..size].iter().enumerate() {
            let proof = inclusion_proof(index as u64, size as u64, |node| tree.get(node)).unwrap();
            assert_eq!(proof, naive_path(index, &leaves[..size]), "{index} of {size}");
            verify_inclusion(&leaf_hash(leaf), index as u64, size as u64, &proof, &root).unwrap();
        }
    }
}

#[test]
fn no_damaged_inclusion_proof_verifies() {
    let leaves = leaves(SIZE_MAX);
    let tree = Tree::of(&leaves);
    for size in (1..34).chain([63, 64, 65, 127, 128, 129, 130]) {
        let root = tree.root_at(size);
        for (index, leaf) in (0..size).zip(&leaves) {
            let leaf = leaf_hash(leaf);
            let proof = inclusion_proof(index, size, |node| tree.get(node)).unwrap();
            for wrong in damaged(&proof) {
                verify_inclusion(&leaf, index, size, &wrong, &root).unwrap_err();
            }
            for other in (0..size + 2).filter(|other| *other != index) {
                verify_inclusion(&leaf, other, size, &proof, &root).unwrap_err();
            }
            verify_inclusion(&leaf, index, size, &proof, &leaf_hash(b"other root")).unwrap_err();
            verify_inclusion(&leaf_hash(b"other leaf"), index, size, &proof, &root).unwrap_err();
        }
    }
}

#[test]
fn consistency_proofs_agree_with_the_reference_and_verify() {
    let leaves = leaves(SIZE_MAX);
    let tree = Tree::of(&leaves);
    let roots: Vec<Digest> = (0..=SIZE_MAX as u64).map(|size| tree.root_at(size)).collect();
    for new in 0..=SIZE_MAX {
        for old in 0..=new {
            let proof = consistency_proof(old as u64, new as u64, |node| tree.get(node)).unwrap();
            let expected = if old == 0 { Vec::new() } else { naive_consistency(old, &leaves[..new], true) };
            assert_eq!(proof, expected, "{old} to {new}");
            verify_consistency((old as u64, &roots[old]), (new as u64, &roots[new]), &proof).unwrap();
        }
    }
}

#[test]
fn no_damaged_consistency_proof_verifies() {
    let leaves = leaves(SIZE_MAX);
    let tree = Tree::of(&leaves);
    let other = leaf_hash(b"another history");
    for new in (1..34u64).chain([64, 65, 129, 130]) {
        let new_root = tree.root_at(new);
        for old in 1..=new {
            let old_root = tree.root_at(old);
            let proof = consistency_proof(old, new, |node| tree.get(node)).unwrap();
            for wrong in damaged(&proof) {
                verify_consistency((old, &old_root), (new, &new_root), &wrong).unwrap_err();
            }
            verify_consistency((old, &other), (new, &new_root), &proof).unwrap_err();
            verify_consistency((old, &old_root), (new, &other), &proof).unwrap_err();
            verify_consistency((new + 1, &new_root), (old, &old_root), &proof).unwrap_err();
        }
    }
}

#[test]
fn an_empty_log_is_consistent_only_with_the_empty_root() {
    let (empty, some) = (empty_root(), leaf_hash(b"x"));
    verify_consistency((0, &empty), (1, &some), &[]).unwrap();
    verify_consistency((0, &empty), (0, &empty), &[]).unwrap();
    verify_consistency((0, &some), (1, &some), &[]).unwrap_err();
    verify_consistency((0, &empty), (0, &some), &[]).unwrap_err();
    verify_consistency((0, &empty), (1, &some), &[some]).unwrap_err();
}

#[test]
fn a_frontier_wants_one_hash_for_every_one_bit() {
    assert!(Frontier::from_peaks(5, vec![Digest([0; 32])]).is_err());
    assert!(Frontier::from_peaks(5, vec![Digest([0; 32]); 2]).is_ok());
    assert!(Frontier::from_peaks(u64::MAX, vec![Digest([0; 32]); 64]).is_ok());
}

#[test]
fn a_frontier_taken_up_again_grows_as_if_never_put_down() {
    let leaves = leaves(70);
    for size in 0..70 {
        let before = Tree::of(&leaves[..size]);
        let peaks = Frontier::nodes(size as u64).into_iter().map(|node| before.get(node).unwrap()).collect();
        let mut resumed = Frontier::from_peaks(size as u64, peaks).unwrap();
        assert_eq!(resumed, before.frontier);
        resumed.push(leaf_hash(&leaves[size]), |_, _| {});
        assert_eq!(resumed.root(), naive_root(&leaves[..=size]));
    }
}

#[test]
fn a_leaf_is_never_mistaken_for_a_node() {
    let (left, right) = (leaf_hash(b"a"), leaf_hash(b"b"));
    assert_ne!(leaf_hash(&[left.0, right.0].concat()), node_hash(&left, &right));
}

#[test]
fn proofs_for_sizes_near_the_end_of_the_range_do_not_overflow() {
    let get = |_: Node| Ok::<_, ()>(Digest([7; 32]));
    let size = u64::MAX;
    let proof = inclusion_proof(size - 1, size, get).unwrap();
    assert!(proof.len() <= crate::limits::PROOF_HASHES_MAX);
    verify_inclusion(&Digest([1; 32]), size - 1, size, &proof, &Digest([2; 32])).unwrap_err();
    let proof = consistency_proof(size - 2, size, get).unwrap();
    assert!(proof.len() <= crate::limits::PROOF_HASHES_MAX);
    verify_consistency((size - 2, &Digest([1; 32])), (size, &Digest([2; 32])), &proof).unwrap_err();
}
