// SPDX-License-Identifier: MIT
/* Bearer tokens. */
#include "auth.h"

#include "token.h"

/* 401, and a header that says what would do, as Azure's answer to a token that is no good. */
static struct svc_answer *refuse_token(const struct rq *rq, const char *detail)
{
	struct err_detail details[2] = { { "AuthenticationErrorDetail", detail }, { NULL, NULL } };
	struct svc_answer *answer;

	answer = err_answer(&rq->to, ERR_INVALID_AUTHENTICATION_INFO, details);
	return answer_replace(answer, "WWW-Authenticate",
			      "Bearer authorization_uri=https://login.microsoftonline.com/common/"
			      "oauth2/authorize resource_id=https://storage.azure.com");
}

struct svc_answer *auth_check_token(struct rq *rq, const struct head_str *token)
{
	struct tokens *tokens = svc_tokens(rq->svc);
	const struct account *account = accounts_find(rq->accounts, rq->target.account);
	const char *wrong;

	if (!tokens)
		return auth_refuse(rq,
				   "Only SharedKey and SharedKeyLite are supported here: bearer "
				   "tokens are not switched on (--oauth).");
	wrong = account ? tokens_check(tokens, token->at, token->length, account->name, &rq->auth)
			: "The account is not known to this server.";
	tokens_put(tokens);
	/* whoever listens could use it */
	if (!rq->caller->secure)
		return auth_refuse(rq,
				   "Authentication scheme Bearer is only supported over https.");
	if (wrong)
		return refuse_token(rq, wrong);
	rq->account = account;
	rq->auth.kind = AUTH_TOKEN;
	return NULL;
}
