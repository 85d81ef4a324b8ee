"""What the README of the data slices warns of, entry by entry in its order, and the test that holds each.

A test without a file is in test_odd_slices.py, where tests stand that have no better place. Where a slice lacks
something on purpose (a language, a split, a set that no mirror has), what is tested is that it is missing and not made
up.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
ODD = "data/test_odd_samples.py::"
FILLED = "data/test_files.py::"
NLI = "data/readers/test_classification.py::"
CHOICE = "data/readers/test_multiple_choice.py::"
SQUAD = "data/readers/test_squad.py::"
TAGS = "data/readers/test_tagging.py::"
FOUND = "data/readers/test_retrieval.py::"
MODEL = "data/test_pretrained.py::"
MOCK = "scoring/test_submission.py::"
CHECKS = "results/question/test_robustness.py::"

#: Entry of the README -> what is odd about it -> the test.
ODDITIES: dict[str, dict[str, str]] = {
    "SQuAD 2.0": {
        "all of it is cut from the development set": "test_slices_are_marked_as_partial",
        "about half of the questions have no answer": f"{SQUAD}test_squad_slices",
        "impossible questions have plausible answers": f"{SQUAD}test_impossible_questions_have_no_answers",
        "XQuAD's paragraphs were taken out": "test_no_paragraph_of_xquad_is_trained_on",
    },
    "SQuAD 1.1": {
        "made of 2.0: no impossible questions, no such keys": "test_squad_1_is_squad_2_without_impossible_questions",
    },
    "HellaSwag": {
        "the field split says val in the training slice too": "test_the_field_split_of_hellaswag_decides_nothing",
        "ind is not unique": f"{CHOICE}test_items_of_hellaswag_are_named_by_place",
        "cut by source, so that train and selection share none": "test_both_slices_of_a_set_share_no_context",
    },
    "Cosmos QA": {
        "lines end in CR LF, fields are quoted": "test_cosmos_ends_its_lines_as_dos_does",
        "train is cut from the development set, by context": "test_both_slices_of_a_set_share_no_context",
    },
    "CommonsenseQA 1.11": {
        "the concept of a question is lost in train": "test_the_lost_concept_of_csqa_is_not_read",
    },
    "SocialIQA 1.4": {
        "train is cut from the labelled test file": f"{CHOICE}test_slices",
        "contexts are disjoint": "test_both_slices_of_a_set_share_no_context",
    },
    "MultiNLI": {
        "parses are empty, of labels the gold one alone is left": "test_only_the_gold_label_of_mnli_is_read",
        "there is a matched and a mismatched development set": "test_mnli_selects_on_matched",
        "the distribution's own columns": f"{NLI}test_original_columns",
    },
    "SNLI 1.0": {
        "ten lines": f"{NLI}test_nli_slices",
        "the .txt beside the .jsonl is the same with a header": "test_snli_says_the_same_twice",
        "pairs without a gold label": f"{NLI}test_unlabelled_pairs_are_left_out",
    },
    "ANLI": {
        "three rounds, all cut from development sets": "test_anli_is_its_three_rounds",
        "emturk is null, genre empty": "test_anli_is_its_three_rounds",
        "cut by context": "test_both_slices_of_a_set_share_no_context",
    },
    "XNLI 1.0": {
        "one file of all languages with 19 columns, most of them empty": "test_xnli_has_19_columns",
        "bg and ur are missing": f"{NLI}test_xnli_is_parallel",
        "the same pairs in every language": f"{NLI}test_xnli_is_parallel",
        "quotes are text": f"{NLI}test_xnli_quotes_are_text_and_short_rows_are_named",
    },
    "AmericasNLI (extra, XNLI-shaped)": {
        "five of its ten languages; other columns than XNLI": "test_americasnli_has_a_header_of_its_own",
    },
    "PAWS-X": {
        "no ja, and tests of de, ko and zh alone": "test_pawsx_has_what_it_has",
        "en train is cut from the development set": "test_pawsx_has_what_it_has",
        "labels differ between languages": f"{NLI}test_pawsx_is_parallel_but_for_some_labels",
    },
    "XCOPA": {
        "no ht": f"{CHOICE}test_xcopa_is_aligned_by_id",
        "aligned by idx": f"{CHOICE}test_xcopa_is_aligned_by_id",
    },
    "COPA (English, SuperGLUE shape)": {
        "the copy's test labels, all 0, are XCOPA's here": "test_copas_test_labels_are_xcopas",
        "it is no test set of XCOPA": "test_copas_test_labels_are_xcopas",
    },
    "Universal Dependencies (UD-POS)": {
        "whole sentences, comments and all columns": "test_every_sentence_of_the_treebanks_is_read",
        "a treebank of a language that no target has": "test_every_sentence_of_the_treebanks_is_read",
        "multiword tokens": "test_multiword_tokens_of_the_treebanks_are_one_word",
        "words with spaces, empty nodes": "test_words_with_spaces_and_empty_nodes_of_the_treebanks",
        "the releases are neither XTREME's nor XTREME-R's": "test_other_releases_are_not_passed_off_as_25",
        "one split of most languages": f"{FILLED}test_slices_of_tagging_have_one_split_of_most_languages",
    },
    "WikiANN / PAN-X": {
        "the original form, with the language before every token": "test_the_prefix_of_wikiann_is_no_part_of_a_token",
        "labels in train and dev only, which is not passed off as test": f"{TAGS}test_panx_slices",
        "th is missing; sets of 60 and 120": "test_wikiann_has_39_languages",
    },
    "XQuAD": {
        "no ro, th": f"{FILLED}test_slices_fill_the_library",
        "the same ids in all languages": f"{SQUAD}test_xquad_is_parallel",
    },
    "LAReQA XQuAD-R": {
        "XQuAD's articles": "test_xquad_r_is_xquad",
        "sentence_breaks": f"{FOUND}test_lareqa_without_sentence_boundaries_is_refused",
        "candidates of all languages": f"{FOUND}test_lareqa_questions_have_an_answer_in_every_language",
        "no th": f"{FILLED}test_slices_fill_the_library",
    },
    "MLQA": {
        "dev alone, no hi; not every question in every language": f"{SQUAD}test_mlqa_slices",
        "context and question in two languages too": "test_mlqa_reads_the_pairs_of_one_language",
        "test files in reach have no answers": f"{SQUAD}test_prepared_copies_of_xtreme_are_refused",
    },
    "TyDiQA-GoldP 1.1": {
        "one file of all languages, told by the id; no te": f"{SQUAD}test_tydiqa_is_cut_by_language_and_paragraph",
        "all offsets of answers are right": "test_answers_of_tydiqa_are_where_they_say",
    },
    "Tatoeba": {
        "three-letter codes": f"{FOUND}test_tatoeba_slices",
        "136 of jav, 150 of the others": "test_tatoeba_has_36_languages",
        "line i of both sides is a pair": f"{FOUND}test_sides_that_do_not_correspond_are_named",
    },
    "BUCC 2018 (zh-en)": {
        "XTREME's dev is the shared task's sample; no other language": "test_bucc_has_one_language_and_part",
        "150 gold pairs among distractors": f"{FOUND}test_bucc_slices",
    },
    "Format samples of the original distributions": {
        "the distributions' own columns and paths": f"{ODD}test_samples_of_the_distributions",
        "folders named as archives": f"{ODD}test_folders_that_are_named_as_archives",
        "files without labels": f"{ODD}test_samples_without_labels_are_refused",
        "QQP is left out": f"{NLI}test_cut_rows_of_qqp",
    },
    "XTREME mock labels and predictions": {
        "what evaluate.py scores": f"{MOCK}test_xtremes_own_regression_values",
        "Mewsli-X among them": f"{MOCK}test_what_xtreme_r_lacks_of_it",
    },
    "XTREME-prepared layout": {
        "QA's answers are blanked": f"{SQUAD}test_prepared_copies_of_xtreme_are_refused",
        "the prefix of PAN-X is stripped": f"{TAGS}test_panx_slices",
        "no header, CR LF, no labels": f"{ODD}test_other_copies_of_xtreme_are_refused",
        "one side of Tatoeba is in another order": f"{ODD}test_tatoeba_in_another_order_is_not_found",
    },
    "Mewsli-X": {
        "a sample of mentions": f"{FOUND}test_mewslix_mentions",
        "the data itself is nowhere": "test_what_has_no_slice_is_said_to_be_missing",
    },
    "XLM-R tokenizer": {
        "rebuilt, and right": f"{MODEL}test_the_real_tokenizer",
        "five pieces of it by the wrong call": f"{MODEL}test_a_tokenizer_that_knows_nothing_is_named",
    },
    "Pretraining sizes per language": {
        "zh and my twice, romanised rows without a code": "test_sizes_of_pretraining_texts",
        "tokens are no words in th, zh and ja": f"{CHECKS}test_tokens_move_the_languages_and_not_the_tiers",
    },
}  # fmt: skip


def test_every_entry_of_the_readme_is_here(slices: Path) -> None:
    headings = re.findall(r"^## (.+)$", (slices / "README.md").read_text(), re.MULTILINE)
    assert list(ODDITIES) == headings


@pytest.mark.parametrize("entry", ODDITIES)
def test_every_oddity_has_its_test(entry: str) -> None:
    assert ODDITIES[entry]
    for place in ODDITIES[entry].values():
        file, _, name = place.rpartition("::")
        path = TESTS / (file or "data/test_odd_slices.py")
        assert f"def {name}(" in path.read_text(), place
