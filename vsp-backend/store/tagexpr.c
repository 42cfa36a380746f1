/* SPDX-License-Identifier: MIT */
#include "store/tagexpr.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The expression in the order that a stack machine does it: comparisons and connectives. */
enum step_kind {
	STEP_TERM,
	STEP_AND,
	STEP_OR,
};

struct step {
	enum step_kind kind;
	size_t term;
};

struct tagexpr {
	struct tagexpr_term *terms;
	size_t term_count;
	struct step *steps;
	size_t step_count;
};

struct parser {
	const char *text;
	const char *at;
	bool find;
	unsigned int depth;
	struct tagexpr *e;
	char *error;
	size_t error_size;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parser *p, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(p->error, p->error_size, format, args);
	va_end(args);
	if (n >= 0 && (size_t)n < p->error_size)
		snprintf(p->error + n, p->error_size - (size_t)n, ", at character %zu",
			 (size_t)(p->at - p->text) + 1);
	return false;
}

static void skip_blanks(struct parser *p)
{
	while (*p->at == ' ' || *p->at == '\t')
		p->at++;
}

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_';
}

/* "AND" and the like, as a whole word of any case. */
static bool take_word(struct parser *p, const char *word)
{
	size_t n = strlen(word);

	skip_blanks(p);
	if (strncasecmp(p->at, word, n) != 0 || word_char(p->at[n]))
		return false;
	p->at += n;
	return true;
}

bool tagexpr_text_good(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((!word_char(text[i]) && !strchr(" +-./:=", text[i])) || !text[i])
			return false;
	return true;
}

static bool take_quoted(struct parser *p, char quote, const char *what, char *out, size_t max)
{
	const char *from = p->at + 1;
	size_t n = strcspn(from, quote == '"' ? "\"" : "'");

	if (from[n] != quote)
		return fail(p, "the %s has no closing quote", what);
	if (n > max)
		return fail(p, "the %s has more than %zu characters", what, max);
	if (!tagexpr_text_good(from, n))
		return fail(p, "the %s has a character that tags cannot have", what);
	memcpy(out, from, n);
	out[n] = 0;
	p->at = from + n + 1;
	return true;
}

static bool take_key(struct parser *p, char *key)
{
	size_t n = 0;

	skip_blanks(p);
	if (*p->at == '"') {
		if (!take_quoted(p, '"', "key", key, TAGS_MAX_KEY))
			return false;
		return *key || fail(p, "a key is empty");
	}
	if (p->find && *p->at == '@') {
		p->at++;
		if (!take_word(p, "container"))
			return fail(p, "only @container may follow @");
		memcpy(key, "@container", sizeof("@container"));
		return true;
	}
	while (word_char(p->at[n]))
		n++;
	if (!n)
		return fail(p, "a key is expected");
	if (n > TAGS_MAX_KEY)
		return fail(p, "the key has more than %u characters", TAGS_MAX_KEY);
	memcpy(key, p->at, n);
	key[n] = 0;
	p->at += n;
	return true;
}

static bool take_op(struct parser *p, enum tagexpr_op *op)
{
	/* the longer ones first */
	static const struct {
		const char *text;
		enum tagexpr_op op;
	} ops[] = { { "<>", TAGEXPR_NE }, { "<=", TAGEXPR_LE }, { ">=", TAGEXPR_GE },
		    { "=", TAGEXPR_EQ },  { "<", TAGEXPR_LT },  { ">", TAGEXPR_GT } };

	skip_blanks(p);
	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		size_t n = strlen(ops[i].text);

		if (strncmp(p->at, ops[i].text, n) != 0)
			continue;
		if (p->find && ops[i].op == TAGEXPR_NE)
			return fail(p, "<> is not for finding");
		*op = ops[i].op;
		p->at += n;
		return true;
	}
	return fail(p, "one of = < <= > >=%s is expected", p->find ? "" : " <>");
}

static void add_step(struct parser *p, enum step_kind kind, size_t term)
{
	p->e->steps[p->e->step_count++] = (struct step){ kind, term };
}

static bool take_term(struct parser *p)
{
	struct tagexpr_term *term = &p->e->terms[p->e->term_count];

	if (p->e->term_count == TAGEXPR_MAX_TERMS)
		return fail(p, "there are more than %u comparisons", TAGEXPR_MAX_TERMS);
	if (!take_key(p, term->key) || !take_op(p, &term->op))
		return false;
	skip_blanks(p);
	if (*p->at != '\'')
		return fail(p, "a value in single quotes is expected");
	if (*term->key == '@' && term->op != TAGEXPR_EQ)
		return fail(p, "@container takes = only");
	if (!take_quoted(p, '\'', "value", term->value, TAGS_MAX_VALUE))
		return false;
	add_step(p, STEP_TERM, p->e->term_count++);
	return true;
}

static bool take_expression(struct parser *p);

static bool take_factor(struct parser *p)
{
	skip_blanks(p);
	if (*p->at != '(' || p->find)
		return take_term(p);
	if (p->depth++ == TAGEXPR_MAX_DEPTH)
		return fail(p, "there are more than %u parentheses", TAGEXPR_MAX_DEPTH);
	p->at++;
	if (!take_expression(p))
		return false;
	skip_blanks(p);
	if (*p->at != ')')
		return fail(p, "a closing parenthesis is expected");
	p->at++;
	p->depth--;
	return true;
}

static bool take_and(struct parser *p)
{
	if (!take_factor(p))
		return false;
	while (take_word(p, "AND")) {
		if (!take_factor(p))
			return false;
		add_step(p, STEP_AND, 0);
	}
	return true;
}

static bool take_expression(struct parser *p)
{
	if (!take_and(p))
		return false;
	while (take_word(p, "OR")) {
		if (p->find)
			return fail(p, "OR is not for finding");
		if (!take_and(p))
			return false;
		add_step(p, STEP_OR, 0);
	}
	return true;
}

struct tagexpr *tagexpr_parse(const char *text, bool find, char *error, size_t error_size)
{
	struct parser p = {
		.text = text, .at = text, .find = find, .error = error, .error_size = error_size
	};
	bool good = false;

	p.e = calloc(1, sizeof(*p.e));
	if (p.e) {
		p.e->terms = calloc(TAGEXPR_MAX_TERMS, sizeof(*p.e->terms));
		/* between comparisons there is one connective */
		p.e->steps = calloc(2 * TAGEXPR_MAX_TERMS, sizeof(*p.e->steps));
	}
	if (!p.e || !p.e->terms || !p.e->steps) {
		snprintf(error, error_size, "no memory");
	} else if (take_expression(&p)) {
		skip_blanks(&p);
		good = !*p.at || fail(&p, "AND%s or the end is expected", find ? "" : ", OR");
	}
	if (good)
		return p.e;
	tagexpr_free(p.e);
	return NULL;
}

void tagexpr_free(struct tagexpr *e)
{
	if (!e)
		return;
	free(e->terms);
	free(e->steps);
	free(e);
}

static bool term_holds(const struct tagexpr_term *term, const struct store_meta *tags)
{
	const char *key, *value, *found = NULL;
	size_t at = 0;
	int order;

	while (!found && store_meta_next(tags, &at, &key, &value))
		if (!strcmp(key, term->key))
			found = value;
	if (!found)
		return term->op == TAGEXPR_NE;
	order = strcmp(found, term->value);
	switch (term->op) {
	case TAGEXPR_EQ:
		return !order;
	case TAGEXPR_NE:
		return order;
	case TAGEXPR_LT:
		return order < 0;
	case TAGEXPR_LE:
		return order <= 0;
	case TAGEXPR_GT:
		return order > 0;
	case TAGEXPR_GE:
		return order >= 0;
	}
	return false;
}

bool tagexpr_holds(const struct tagexpr *e, const struct store_meta *tags)
{
	bool stack[TAGEXPR_MAX_TERMS] = { false };
	size_t n = 0;

	for (size_t i = 0; i < e->step_count; i++) {
		const struct step *step = &e->steps[i];

		if (step->kind == STEP_TERM) {
			/* where the tag is none of the blob's, the caller has compared already */
			const struct tagexpr_term *term = &e->terms[step->term];

			stack[n++] = *term->key == '@' || term_holds(term, tags);
			continue;
		}
		n--;
		stack[n - 1] = step->kind == STEP_AND ? stack[n - 1] && stack[n]
						      : stack[n - 1] || stack[n];
	}
	return stack[0];
}

size_t tagexpr_terms(const struct tagexpr *e, const struct tagexpr_term **terms)
{
	*terms = e->terms;
	return e->term_count;
}
