/* SPDX-License-Identifier: MIT */
/* The index of blob tags. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/local/local.h"
#include "store/tagexpr.h"

enum store_error tags_index(struct local *local, struct change_job *job,
			    const struct store_meta *tags, bool before)
{
	const struct store_ref *ref = &job->change->ref;
	struct db *db = &local->writer.db;
	enum store_error error = STORE_OK;
	const char *key, *value;
	size_t at = 0;

	if (before)
		error = db_run(db, db_bind(DB_SQL(db, "DELETE FROM tags WHERE container = ?1"
						      " AND name = ?2"),
					   "it", job->container, ref->blob));
	while (!error && store_meta_next(tags, &at, &key, &value))
		error = db_run(db, db_bind(DB_SQL(db, "INSERT INTO tags"
						      "(account, key, value, container, name)"
						      " VALUES (?1, ?2, ?3, ?4, ?5)"),
					   "tttit", ref->account, key, value, job->container,
					   ref->blob));
	return error;
}

enum store_error tags_restore(struct local *local, struct change_job *job)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT tags FROM blobs WHERE container = ?1"
					     " AND name = ?2 AND tags IS NOT NULL"),
				  "it", job->container, job->change->ref.blob);
	struct store_meta tags;
	enum store_error error;
	char *bytes;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error;
	tags.length = (size_t)sqlite3_column_bytes(s, 0);
	bytes = malloc(tags.length + 1);
	if (bytes && tags.length)
		memcpy(bytes, sqlite3_column_blob(s, 0), tags.length);
	db_reset(s);
	if (!bytes)
		return STORE_NO_MEMORY;
	tags.bytes = bytes;
	error = tags_index(local, job, &tags, true);
	free(bytes);
	return error;
}

/* Entries of the index that one page looks at, at most. */
#define FIND_MAX_LOOKS 20000u

/**
 * struct finding - a search along one key of the index
 * @container: where to look alone; 0: in the whole account.
 * @key, @low, @high: the key, and between which values; @high NULL: no end.
 * @from_container, @from_name: where in @low to start.
 */
struct finding {
	const struct store_ref *ref;
	const struct tagexpr *where;
	int64_t container;
	const char *key;
	const char *low;
	const char *high;
	int64_t from_container;
	const char *from_name;
};

static int rank(enum tagexpr_op op)
{
	return op == TAGEXPR_EQ ? 2 : 1;
}

/* The key with the narrowest comparison, and what all comparisons say of its values. */
static void choose_key(struct finding *f)
{
	const struct tagexpr_term *terms, *best = NULL;
	size_t count = tagexpr_terms(f->where, &terms);

	for (size_t i = 0; i < count; i++)
		if (*terms[i].key != '@' && (!best || rank(terms[i].op) > rank(best->op)))
			best = &terms[i];
	/* the caller has seen to it that there is one */
	f->key = best ? best->key : "";
	f->low = "";
	f->high = NULL;
	for (size_t i = 0; i < count; i++) {
		const struct tagexpr_term *term = &terms[i];

		if (strcmp(term->key, f->key) != 0)
			continue;
		if ((term->op == TAGEXPR_EQ || term->op == TAGEXPR_GE || term->op == TAGEXPR_GT) &&
		    strcmp(term->value, f->low) > 0)
			f->low = term->value;
		if ((term->op == TAGEXPR_EQ || term->op == TAGEXPR_LE || term->op == TAGEXPR_LT) &&
		    (!f->high || strcmp(term->value, f->high) < 0))
			f->high = term->value;
	}
}

/* "VALUE\nCONTAINER\nNAME" of the entry to start with, in place; false: not one of ours. */
static bool read_marker(char *marker, struct finding *f)
{
	char *container = strchr(marker, '\n'), *name;

	name = container ? strchr(container + 1, '\n') : NULL;
	if (!name)
		return false;
	*container++ = '\0';
	*name++ = '\0';
	/* what was made for another search starts nowhere before this one */
	if (strcmp(marker, f->low) < 0)
		return true;
	f->low = marker;
	f->from_container = strtoll(container, NULL, 10);
	f->from_name = name;
	return true;
}

static enum store_error make_marker(char **next, const char *value, int64_t container,
				    const char *name)
{
	if (asprintf(next, "%s\n%lld\n%s", value, (long long)container, name) < 0) {
		*next = NULL;
		return STORE_NO_MEMORY;
	}
	return STORE_OK;
}

#define FIND_COLUMNS "SELECT t.value, t.container, t.name, c.name, b.tags FROM tags t"
#define FIND_JOINS                                       \
	" CROSS JOIN containers c ON c.id = t.container" \
	" CROSS JOIN blobs b ON b.container = t.container AND b.name = t.name"

static sqlite3_stmt *statement(struct db *db, const struct finding *f)
{
	if (f->container)
		return db_bind(DB_SQL(db, FIND_COLUMNS " INDEXED BY tags_by_container" FIND_JOINS
						       " WHERE t.container = ?1 AND t.key = ?2"
						       " AND (t.value, t.name) >= (?3, ?4)"
						       " AND c.deleted = 0"
						       " ORDER BY t.value, t.name"),
			       "ittt", f->container, f->key, f->low, f->from_name);
	return db_bind(DB_SQL(db, FIND_COLUMNS FIND_JOINS
			      " WHERE t.account = ?1 AND t.key = ?2"
			      " AND (t.value, t.container, t.name) >= (?3, ?5, ?4)"
			      " AND c.deleted = 0"
			      " ORDER BY t.value, t.container, t.name"),
		       "tttti", f->ref->account, f->key, f->low, f->from_name, f->from_container);
}

static enum store_error walk(struct db *db, const struct finding *f, const struct store_list *list,
			     store_find_cb *cb, void *context, char **next)
{
	sqlite3_stmt *s = statement(db, f);
	enum store_error error;
	size_t count = 0, looks = 0;
	bool row;

	while (!(error = db_row(db, s, &row)) && row) {
		const char *value = (const char *)sqlite3_column_text(s, 0);
		const char *name = (const char *)sqlite3_column_text(s, 2);
		const char *container = (const char *)sqlite3_column_text(s, 3);
		struct store_meta tags = { .bytes = sqlite3_column_blob(s, 4) };
		bool fits;

		tags.length = (size_t)sqlite3_column_bytes(s, 4);
		if (!value || !name || !container) {
			error = STORE_NO_MEMORY;
		} else if (f->high && strcmp(value, f->high) > 0) {
			db_reset(s);
			break;
		} else {
			fits = tagexpr_holds(f->where, &tags);
			if (looks++ == FIND_MAX_LOOKS ||
			    (fits &&
			     (count++ == list->max || !cb(context, container, name, &tags))))
				error = make_marker(next, value, sqlite3_column_int64(s, 1), name);
		}
		if (error || *next) {
			db_reset(s);
			break;
		}
	}
	return error;
}

/* The one container that is meant: of the request, or by @container; *none: two that differ. */
static enum store_error find_scope(struct db *db, struct finding *f, bool *none)
{
	struct store_ref ref = *f->ref;
	const struct tagexpr_term *terms;
	size_t count = tagexpr_terms(f->where, &terms);
	enum store_error error;

	*none = false;
	for (size_t i = 0; i < count; i++) {
		if (*terms[i].key != '@')
			continue;
		if (ref.container && strcmp(ref.container, terms[i].value) != 0)
			*none = true;
		ref.container = terms[i].value;
	}
	/* what the request names must be there; what the expression names need not */
	if (f->ref->container) {
		error = local_find_container(db, f->ref, &f->container);
		if (error || *none)
			return error;
	}
	if (!ref.container || *none)
		return STORE_OK;
	error = local_find_container(db, &ref, &f->container);
	*none = error == STORE_CONTAINER_NOT_FOUND;
	return *none ? STORE_OK : error;
}

enum store_error local_tags_find(struct store *store, const struct store_ref *ref,
				 const struct tagexpr *where, const struct store_list *list,
				 store_find_cb *cb, void *context, char **next)
{
	struct local *local = to_local(store);
	struct finding finding = { .ref = ref, .where = where, .from_name = "" };
	char *marker = list->marker ? strdup(list->marker) : NULL;
	struct reader *reader;
	enum store_error error, end;
	bool none;

	*next = NULL;
	if (list->marker && !marker)
		return STORE_NO_MEMORY;
	choose_key(&finding);
	if (marker && !read_marker(marker, &finding)) {
		free(marker);
		return STORE_OUT_OF_RANGE;
	}
	error = reader_get(local, &reader);
	if (error) {
		free(marker);
		return error;
	}
	error = db_run(&reader->db, DB_SQL(&reader->db, "BEGIN"));
	if (!error) {
		error = find_scope(&reader->db, &finding, &none);
		if (!error && !none)
			error = walk(&reader->db, &finding, list, cb, context, next);
		end = db_run(&reader->db, DB_SQL(&reader->db, "COMMIT"));
		error = error ? error : end;
	}
	reader_put(local, reader);
	free(marker);
	return error;
}
